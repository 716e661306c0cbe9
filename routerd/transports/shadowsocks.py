"""Shadowsocks, the AEAD ciphers and the 2022 edition, by sing-box. Clear of plugins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Launch
from routerd.transports import singbox
from routerd.transports.doors import upstreams

METHODS = (
    "aes-128-gcm",
    "aes-192-gcm",
    "aes-256-gcm",
    "chacha20-ietf-poly1305",
    "xchacha20-ietf-poly1305",
)
METHODS_2022 = {  # and the bytes of their keys (SIP022)
    "2022-blake3-aes-128-gcm": 16,
    "2022-blake3-aes-256-gcm": 32,
    "2022-blake3-chacha20-poly1305": 32,
}


@dataclass(frozen=True, slots=True)
class Shadowsocks:
    """`password`: for the 2022 methods one base64 key, or several joined by colons."""

    kind: ClassVar[str] = "shadowsocks"

    server: str
    port: int
    method: str
    password: str = field(repr=False)

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: dict[str, object] = {
            "type": "shadowsocks",
            "server": self.server,
            "server_port": self.port,
            "method": self.method,
            "password": self.password,
        }
        allowed = upstreams(self.server, ((self.port, self.port),), "tcp", "udp")
        return singbox.launch(name, slot, outbound, allowed, via)
