"""What we know by name and cannot carry is refused with a sentence that names it. SCHEMES are asked before this."""

from __future__ import annotations

import re

CANNOT = "{} is a way out that we know by name and cannot carry; ask its owner for another kind of link."
KNOWN = {
    "ssr": "ShadowsocksR",
    "shadowsocksr": "ShadowsocksR",
    "juicity": "Juicity",
    "mieru": "mieru",
    "mierus": "mieru",
    "naive": "NaiveProxy in this form",
    "hysteria2+realm": "Hysteria 2 with a realm",
    "hysteria2+realm+http": "Hysteria 2 with a realm",
    "shadowtls": "ShadowTLS",
    "warp": "WARP",
    "snell": "Snell",
    "brook": "Brook",
    "masque": "MASQUE",
    "sudoku": "Sudoku",
    "trusttunnel": "TrustTunnel",
    "tailscale": "Tailscale",
    "openvpn": "OpenVPN in this form",
    "tg": "A Telegram proxy, which serves Telegram alone,",
    "gost-relay": "A GOST relay",
    "dnstt": "dnstt",
    "psiphon": "Psiphon",
    "vpn": "An Amnezia key inside something else",
}
OVPN = re.compile(r"^[ \t]*remote[ \t]+[^\s]+(?:[ \t]|$)", re.IGNORECASE | re.MULTILINE)
OVPN_TOO = re.compile(r"^[ \t]*(?:client|dev[ \t]+\w+|proto[ \t]+\w+|<ca>)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


def of_scheme(scheme: str) -> str:
    """The sentence for a scheme, or for the word that a document has for a kind; "" for a stranger, never repeated."""
    return CANNOT.format(KNOWN[scheme]) if scheme in KNOWN else ""


def is_ovpn(text: str) -> bool:
    return bool(OVPN.search(text) and OVPN_TOO.search(text))
