"""hysteria2:// and hy2:// links (hysteria-website, docs/developers/URI-Scheme.md). The port may be a list of ranges."""

from __future__ import annotations

import re
from urllib.parse import quote

from routerd.links import wall
from routerd.links.uri import Query, decoded, refuse_insecure, split, written
from routerd.links.wall import LinkError
from routerd.transports.doors import Ports
from routerd.transports.hysteria2 import OBFUSCATIONS, Hysteria2

MOST_RANGES = 32  # each becomes a rule of the ruleset


def hysteria2(text: str) -> tuple[str, Hysteria2]:
    uri = split(text)
    if uri.query.get("ech"):
        raise LinkError("The link asks for an encrypted ClientHello (ech=), which is not supported yet.")
    pinned = pin(uri.query)
    host = wall.host(uri.host)
    ports = ranges(",".join(filter(None, (uri.port or "443", uri.query.get("mport")))))
    sni = wall.host(uri.query.get("sni") or uri.query.get("peer") or uri.host)
    password = wall.text(decoded(uri.userinfo), "password") if uri.userinfo else ""
    hops = ports if len(ports) > 1 or ports[0][0] != ports[0][1] else ()
    return uri.name, Hysteria2(host, ports[0][0], sni, password, hops, *obfuscation(uri.query, pinned), pinned)


def hysteria2_link(name: str, transport: Hysteria2) -> str:
    hops = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in transport.hops)
    query = {"sni": transport.sni, "obfs": transport.obfs, "obfs-password": transport.obfs_password}
    query |= {"pinSHA256": transport.pin}
    place = (transport.server, hops or transport.port)
    return written("hysteria2", quote(transport.password, safe=""), place, query, name)


def pin(query: Query) -> str:
    """Of the whole certificate. A server that shows this one and no other is checked, whatever `insecure` says."""
    if found := query.get("pinSHA256", ""):
        return wall.hexadecimal(re.sub("[:-]", "", found), "pin (pinSHA256=)", (64,))
    refuse_insecure(query)
    return ""


def obfuscation(query: Query, pinned: str) -> tuple[str, str]:
    kind = query.get("obfs", "")
    if kind in ("", "none"):
        return "", ""
    # Xray has gecko too, but wants to be told the sizes of its packets, which no link says.
    wall.one_of(kind, OBFUSCATIONS[:1] if pinned else OBFUSCATIONS, "obfuscation (obfs=)")
    return kind, wall.text(query.get("obfs-password", ""), "obfuscation password")


def ranges(value: str) -> tuple[Ports, ...]:
    """`443`, `5000-6000`, `443,5000-6000`."""
    parts = value.split(",")
    if len(parts) > MOST_RANGES:
        raise LinkError(f"The link lists too many ports: {MOST_RANGES} ranges are allowed.")
    return tuple(port_range(part) for part in parts)


def port_range(value: str) -> Ports:
    first, dash, last = value.partition("-")
    ports = wall.port(first), wall.port(last if dash else first)
    if ports[0] > ports[1]:
        raise LinkError("The link has a range of ports that runs backwards.")
    return ports
