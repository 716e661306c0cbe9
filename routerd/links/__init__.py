"""Share links and wg-quick files, read into transports. Past this wall there is no raw text; see wall.py.

A scheme is a function from the link's text to a name and a transport, and a line of SCHEMES. Its inverse, from a name
and a transport to the text, is a line of WRITERS.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from routerd.links import unknown, wall
from routerd.links.anytls import anytls, anytls_link
from routerd.links.bridges import bridges, is_bridge, tor, tor_link
from routerd.links.desync import desync, desync_link
from routerd.links.http import http, http_link
from routerd.links.hysteria import hysteria, hysteria_link
from routerd.links.hysteria2 import hysteria2, hysteria2_link
from routerd.links.iodine import iodine, iodine_link
from routerd.links.naive import naive, naive_link
from routerd.links.ovpn import ovpn, ovpn_link
from routerd.links.shadowsocks import shadowsocks, shadowsocks_link
from routerd.links.shadowtls import shadowtls_link
from routerd.links.socks import socks, socks_link
from routerd.links.ssh import ssh, ssh_link
from routerd.links.trojan import trojan, trojan_link
from routerd.links.trojan_go import trojan_go
from routerd.links.tuic import tuic, tuic_link
from routerd.links.vless import vless, vless_link
from routerd.links.vmess import vmess, vmess_link
from routerd.links.wall import LinkError
from routerd.links.wireguard import awg, wg_quick, wireguard, wireguard_link
from routerd.transports import Transport

__all__ = ["SCHEMES", "WRITERS", "LinkError", "Named", "bridges", "configuration", "export", "parse", "wg_quick"]

LONGEST = 16384
INTERFACE = re.compile(r"^[ \t]*\[interface\]", re.IGNORECASE | re.MULTILINE)
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9.+-]{0,31})://")

SCHEMES: dict[str, Callable[[str], tuple[str, Transport]]] = {
    "ss": shadowsocks,
    "hysteria2": hysteria2,
    "hy2": hysteria2,
    "vless": vless,
    "vmess": vmess,
    "trojan": trojan,
    "wireguard": wireguard,
    "wg": wireguard,
    "awg": awg,
    "amneziawg": awg,
    "tuic": tuic,
    "anytls": anytls,
    "hysteria": hysteria,
    "ssh": ssh,
    "socks": socks,
    "socks4": socks,
    "socks4a": socks,
    "socks5": socks,
    "socks5h": socks,
    "http": http,
    "https": http,
    "naive": naive,
    "naive+https": naive,
    "naive+quic": naive,
    "trojan-go": trojan_go,
    "tor": tor,
    "iodine": iodine,
    "desync": desync,
}

WRITERS: dict[str, Callable[[str, Any], str]] = {  # kind -> writer; it takes that kind alone
    "shadowsocks": shadowsocks_link,
    "hysteria2": hysteria2_link,
    "vless": vless_link,
    "vmess": vmess_link,
    "trojan": trojan_link,
    "wireguard": wireguard_link,
    "amneziawg": wireguard_link,
    "tuic": tuic_link,
    "anytls": anytls_link,
    "shadowtls": shadowtls_link,
    "hysteria": hysteria_link,
    "ssh": ssh_link,
    "socks": socks_link,
    "http": http_link,
    "naive": naive_link,
    "openvpn": ovpn_link,
    "tor": tor_link,
    "iodine": iodine_link,
    "desync": desync_link,
}

NAMELESS = {"tor": "Tor", "desync": "No server"}  # what a transport is called that has no one server to be called after


@dataclass(frozen=True, slots=True)
class Named:
    """`name` is the link's own, fit to be shown; the server's where it has none. `source`: the link, or the file."""

    name: str
    transport: Transport
    source: str = field(default="", repr=False, compare=False)


def parse(text: str) -> Named:
    """One share link, or one wg-quick or OpenVPN file. Raises LinkError and nothing else."""
    if not SCHEME.match(text) and unknown.is_ovpn(text):
        _, tunnel = ovpn(text)
        return Named(called(tunnel), tunnel, text)
    if len(text) > LONGEST:
        raise LinkError(f"The link is longer than {LONGEST} characters.")
    if not SCHEME.match(text):
        if INTERFACE.search(text):
            transport = wg_quick(text.lstrip("\ufeff"))
            return Named(called(transport), transport, text)
        if lines := bridge_lines(text):
            return Named(NAMELESS["tor"], bridges(lines), text)
    link = joined(text)
    name, transport_ = read(link)
    return Named(wall.name(name) or called(transport_), transport_, link)


def called(transport: Transport) -> str:
    """What one is called that brings no name: after its server, no longer than a name may be."""
    return NAMELESS.get(transport.kind) or wall.name(transport.server)


def bridge_lines(text: str) -> list[str]:
    """The lines of a text that is made of bridge lines alone; none for any other."""
    lines = [wall.shown(line) for line in text.splitlines() if line.strip()]
    return lines if all(map(is_bridge, lines)) else []


def export(named: Named) -> str:
    """The share link of a transport: `parse(export(named)) == named`."""
    return WRITERS[named.transport.kind](named.name, named.transport)


def configuration(text: str) -> Transport:
    """A wg-quick or an OpenVPN file."""
    return ovpn(text)[1] if unknown.is_ovpn(text) else wg_quick(text)


def joined(text: str) -> str:
    """One line of what a chat may have broken into several, without the invisible marks around it."""
    lines = text.splitlines()
    if len(lines) > 1 and sum(bool(SCHEME.match(line.strip())) for line in lines) > 1:
        raise LinkError("There are several links here; give one at a time.")
    one = "".join(line.strip() for line in lines) if len(lines) > 1 else text.strip()
    body, sign, fragment = one.partition("#")
    return wall.shown(body).strip() + sign + wall.shown(fragment)


def read(link: str) -> tuple[str, Transport]:
    match = SCHEME.match(link)
    if not match:
        raise LinkError(f"This is not a share link; one begins with {', '.join(SCHEMES)} and ://.")
    scheme = match[1].lower()
    if scheme not in SCHEMES:
        known = unknown.of_scheme(scheme)
        raise LinkError(known or f"Links of this kind are not supported; allowed: {', '.join(SCHEMES)}.")
    return SCHEMES[scheme](f"{scheme}://{link[match.end() :]}")
