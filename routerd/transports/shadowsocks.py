"""Shadowsocks, the AEAD ciphers and the 2022 edition, by sing-box, maybe in one of its own disguises.

They are named after SIP003 plugins and speak like them, but are no programs: sing-box has them within.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import singbox
from routerd.transports.doors import Proto, upstreams

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
    """`password`: for the 2022 methods one base64 key, or several joined by colons.

    `plugin`: obfs-local or v2ray-plugin, for TCP alone. `plugin_options`: SIP003's, key=value;key=value.
    """

    kind: ClassVar[str] = "shadowsocks"
    engine: ClassVar[Engine] = singbox.ENGINE

    server: str
    port: int
    method: str
    password: str = field(repr=False)
    plugin: str = ""
    plugin_options: str = field(default="", repr=False)

    @property
    def carries(self) -> Carries:
        return Carries(udp=not self.plugin)

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: dict[str, object] = {
            "type": "shadowsocks",
            "server": self.server,
            "server_port": self.port,
            "method": self.method,
            "password": self.password,
        }
        protos: tuple[Proto, ...] = ("tcp", "udp")
        if self.plugin:  # its UDP would go out beside the disguise
            outbound |= {"plugin": self.plugin, "plugin_opts": self.plugin_options, "network": "tcp"}
            protos = ("tcp",)
        allowed = upstreams(self.server, ((self.port, self.port),), *protos)
        return singbox.launch(name, slot, outbound, allowed, self.carries, via)
