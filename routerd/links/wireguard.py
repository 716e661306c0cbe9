"""WireGuard: the text of a wg-quick(8) file, and wireguard:// links. Nothing in either is ever executed.

PostUp and its kin, Table, DNS, SaveConfig, ListenPort and FwMark are the box's business and are passed over, and so is
AllowedIPs: which packets enter the tunnel is for the ruleset to say.
"""

from __future__ import annotations

import re
from base64 import b64encode
from ipaddress import ip_interface
from urllib.parse import quote

from routerd.links import wall
from routerd.links.uri import HOST_PORT, decoded, server, split, written
from routerd.links.wall import LinkError
from routerd.model import Interface
from routerd.transports.wireguard import WireGuard

Section = dict[str, str]

# AmneziaWG's own keys: a server that has them does not understand plain WireGuard.
AMNEZIA = re.compile(r"j(c|min|max)|s[1-4]|h[1-4]|i[1-5]|headerprotectionkey|contentpaddingaddition")


def wg_quick(text: str) -> WireGuard:
    interface, peer = sections(text)
    match = HOST_PORT.fullmatch(peer.get("endpoint", ""))
    if not match or not match[1]:
        raise LinkError("The peer has no Endpoint of the form host:port.")
    return WireGuard(
        wall.host(match[1]),
        wall.port(match[2] or ""),
        key(interface.get("privatekey", ""), "PrivateKey"),
        key(peer.get("publickey", ""), "PublicKey"),
        addresses(interface.get("address", "")),
        optional_key(peer.get("presharedkey", ""), "PresharedKey"),
        mtu(interface.get("mtu", "")),
        keepalive(peer.get("persistentkeepalive", "")),
    )


def wireguard(text: str) -> tuple[str, WireGuard]:
    uri = split(text)
    host, port = server(uri, "51820")
    query = {name.lower(): value for name, value in uri.query.items()}
    refuse_amnezia(query)
    if query.get("reserved", "0").strip("[]").replace("0", "").strip(", "):
        raise LinkError("The link needs WARP's reserved bytes, which plain WireGuard does not have.")
    return uri.name, WireGuard(
        host,
        port,
        key(decoded(uri.userinfo), "private key"),
        key(query.get("publickey", ""), "public key"),
        addresses(query.get("address", "") or query.get("ip", "")),
        optional_key(query.get("presharedkey", ""), "preshared key"),
        mtu(query.get("mtu", "")),
        keepalive(query.get("keepalive", "") or query.get("persistentkeepalive", "")),
    )


def wireguard_link(name: str, transport: WireGuard) -> str:
    query = {
        "publickey": transport.public_key,
        "presharedkey": transport.preshared_key,
        "address": ",".join(map(str, transport.addresses)),
        "mtu": str(transport.mtu),
        "keepalive": str(transport.keepalive),
    }
    place = (transport.server, transport.port)
    return written("wireguard", quote(transport.private_key, safe=""), place, query, name)


def sections(text: str) -> tuple[Section, Section]:
    """The [Interface] and the one [Peer], keys in lower case."""
    found: list[tuple[str, Section]] = []
    for line in filter(None, (raw.partition("#")[0].strip() for raw in text.splitlines())):
        if line.startswith("["):
            found.append((line.lower(), {}))
        elif not found or "=" not in line:
            raise LinkError("The file is not a wg-quick file: [Interface], [Peer] and lines of key = value are needed.")
        else:
            add(found[-1][1], line)
    if sorted(name for name, _ in found) != ["[interface]", "[peer]"]:
        raise LinkError("The file must have one [Interface] and one [Peer]; several peers are not supported.")
    members = dict(found)
    refuse_amnezia(members["[interface]"])
    return members["[interface]"], members["[peer]"]


def add(section: Section, line: str) -> None:
    """Repeated keys are joined, as wg(8) does with Address; a repeated key is then no valid key or port."""
    name, _, value = line.partition("=")
    name = name.strip().lower()
    section[name] = f"{section[name]},{value.strip()}" if name in section else value.strip()


def refuse_amnezia(names: Section) -> None:
    if any(AMNEZIA.fullmatch(name) for name in names):
        raise LinkError("The file is for AmneziaWG, which is not supported yet; plain WireGuard is.")


def key(value: str, what: str) -> str:
    return b64encode(wall.key(value, what, 32)).decode()


def optional_key(value: str, what: str) -> str:
    return key(value, what) if value else ""


def addresses(value: str) -> tuple[Interface, ...]:
    """An address without a length is a single one."""
    try:
        found = tuple(ip_interface(item.strip()) for item in value.split(",") if item.strip() and "%" not in item)
    except ValueError:
        found = ()
    if not found or len(found) > 16:
        raise LinkError("The Address must be one or more IP addresses, each with or without a /length.")
    return found


def mtu(value: str) -> int:
    """IPv6 needs 1280 (RFC 8200)."""
    return wall.number(value, "MTU", 1280, 1500) if value else 1420


def keepalive(value: str) -> int:
    return 0 if value.lower() in ("", "off") else wall.number(value, "PersistentKeepalive", 0, 65535)
