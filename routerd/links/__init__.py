"""Share links and wg-quick files, read into transports. Past this wall there is no raw text; see wall.py.

A scheme is a function from the link's text to a name and a transport, and a line of SCHEMES.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from routerd.links import wall
from routerd.links.bridges import bridges, is_bridge, pieces, tor, tor_link
from routerd.links.hysteria2 import hysteria2
from routerd.links.shadowsocks import shadowsocks
from routerd.links.trojan import trojan
from routerd.links.vless import vless
from routerd.links.vmess import vmess
from routerd.links.wall import LinkError
from routerd.links.wireguard import wg_quick, wireguard
from routerd.transports import Transport

__all__ = ["SCHEMES", "WRITERS", "LinkError", "Named", "bridges", "parse", "pieces", "wg_quick"]

LONGEST = 16384
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
    "tor": tor,
}
WRITERS: dict[str, Callable[..., str]] = {
    "tor": tor_link,
}

NAMELESS = {"tor": "Tor"}  # what a transport is called that has no one server to be called after


@dataclass(frozen=True, slots=True)
class Named:
    """`name` is the link's own, fit to be shown; the server's where it has none."""

    name: str
    transport: Transport


def parse(text: str) -> Named:
    """One share link, or one wg-quick file. Raises LinkError and nothing else."""
    if len(text) > LONGEST:
        raise LinkError(f"The link is longer than {LONGEST} characters.")
    if re.search(r"^\s*\[interface\]", text.lstrip("\ufeff"), re.IGNORECASE | re.MULTILINE):
        name, transport = "", wg_quick(text.lstrip("\ufeff"))
        return Named(transport.server, transport)
    if lines := bridge_lines(text):
        return Named(NAMELESS["tor"], bridges(lines))
    name, transport_ = read(joined(text))
    return Named(wall.name(name) or NAMELESS.get(transport_.kind) or transport_.server, transport_)


def bridge_lines(text: str) -> list[str]:
    """The lines of a text that is made of bridge lines alone; none for any other."""
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    return lines if all(map(is_bridge, lines)) else []


def joined(text: str) -> str:
    """One line of what a chat may have broken into several, without the invisible marks around it."""
    lines = text.splitlines()
    if sum(bool(SCHEME.match(line.strip())) for line in lines) > 1:
        raise LinkError("There are several links here; give one at a time.")
    body, sign, fragment = "".join(line.strip() for line in lines).partition("#")
    return "".join(char for char in body if not wall.invisible(char)).strip() + sign + fragment


def read(link: str) -> tuple[str, Transport]:
    match = SCHEME.match(link)
    if not match:
        raise LinkError(f"This is not a share link; one begins with {', '.join(SCHEMES)} and ://.")
    scheme = match[1].lower()
    if scheme not in SCHEMES:
        raise LinkError(f"Links of this kind are not supported; allowed: {', '.join(SCHEMES)}.")
    return SCHEMES[scheme](f"{scheme}://{link[match.end() :]}")
