"""WireGuard: the text of a wg-quick(8) file, and wireguard:// links. Nothing in either is ever executed.

PostUp and its kin, Table, DNS, SaveConfig, ListenPort and FwMark are the box's business and are passed over, and so is
AllowedIPs: which packets enter the tunnel is for the ruleset to say.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from ipaddress import ip_interface
from urllib.parse import quote

from routerd.links import wall
from routerd.links.amneziawg import terms
from routerd.links.uri import HOST_PORT, decoded, server, split, written
from routerd.links.wall import LinkError
from routerd.model import Interface
from routerd.transports.amneziawg import AmneziaWg, disguised
from routerd.transports.wireguard import WireGuard

Section = dict[str, str]

Tunnel = WireGuard | AmneziaWg


def wg_quick(text: str) -> Tunnel:
    interface, peer = sections(text)
    match = HOST_PORT.fullmatch(peer.get("endpoint", ""))
    if not match or not match[1]:
        raise LinkError("The peer has no Endpoint of the form host:port.")
    tunnel = WireGuard(
        wall.host(match[1]),
        wall.port(match[2] or ""),
        key(interface.get("privatekey", ""), "PrivateKey"),
        key(peer.get("publickey", ""), "PublicKey"),
        addresses(interface.get("address", "")),
        optional_key(peer.get("presharedkey", ""), "PresharedKey"),
        mtu(interface.get("mtu", "")),
        keepalive(peer.get("persistentkeepalive", "")),
    )
    return in_disguise(tunnel, interface)


def in_disguise(tunnel: WireGuard, names: Section) -> Tunnel:
    """AmneziaWG, where it is on its terms: a server that has them does not understand plain WireGuard."""
    if not (found := terms(names)):
        return tunnel
    # Where nobody gave an MTU, what S4 puts ahead of each packet has to fit too.
    mtu = tunnel.mtu if names.get("mtu") else tunnel.mtu - int(dict(found).get("S4", "0"))
    return disguised(replace(tunnel, mtu=mtu), found)


def awg(text: str) -> tuple[str, Tunnel]:
    """As a wireguard:// link; or the whole file in base64, as 3x-ui's panels write it."""
    payload, _, name = text.partition("://")[2].partition("#")
    if "@" in payload:
        return wireguard(text)
    try:
        file = wall.base64(decoded(payload), "AmneziaWG link").decode()
    except UnicodeDecodeError:
        raise LinkError("The AmneziaWG link is neither like a wireguard:// link nor a file in base64.") from None
    return decoded(name), wg_quick(file)


def wireguard(text: str) -> tuple[str, Tunnel]:
    uri = split(text)
    host, port = server(uri, "51820")
    query = {name.lower(): value for name, value in uri.query.items()}
    if query.get("reserved", "0").strip("[]").replace("0", "").strip(", "):
        raise LinkError("The link needs WARP's reserved bytes, which plain WireGuard does not have.")
    tunnel = WireGuard(
        host,
        port,
        key(decoded(uri.userinfo), "private key"),
        key(query.get("publickey", "") or query.get("peerpublickey", ""), "public key"),
        addresses(query.get("address", "") or query.get("ip", "")),
        optional_key(query.get("presharedkey", ""), "preshared key"),
        mtu(query.get("mtu", "")),
        keepalive(query.get("keepalive", "") or query.get("persistentkeepalive", "")),
    )
    return uri.name, in_disguise(tunnel, query)


def wireguard_link(name: str, transport: Tunnel) -> str:
    scheme, more = ("awg", dict(transport.terms)) if isinstance(transport, AmneziaWg) else ("wireguard", {})
    query = {
        "publickey": transport.public_key,
        "presharedkey": transport.preshared_key,
        "address": ",".join(map(str, transport.addresses)),
        "mtu": str(transport.mtu),
        "keepalive": str(transport.keepalive),
        **{name.lower(): value for name, value in more.items()},
    }
    place = (transport.server, transport.port)
    return written(scheme, quote(transport.private_key, safe=""), place, query, name)


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
    return members["[interface]"], members["[peer]"]


def add(section: Section, line: str) -> None:
    """Repeated keys are joined, as wg(8) does with Address; a repeated key is then no valid key or port."""
    name, _, value = line.partition("=")
    name = name.strip().lower()
    section[name] = f"{section[name]},{value.strip()}" if name in section else value.strip()


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
    """AmneziaWG may have a range of seconds there; its beginning will do."""
    value = value.partition("-")[0]
    return 0 if value.lower() in ("", "off") else wall.number(value, "PersistentKeepalive", 0, 65535)
