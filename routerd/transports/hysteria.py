"""Hysteria, the first version: QUIC that sends at the rate it was told, by sing-box. Its packets may be obfuscated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import singbox
from routerd.transports.doors import upstreams


@dataclass(frozen=True, slots=True)
class Hysteria:
    """`up`, `down`: what the line carries, in Mbit/s; it sends as fast as that, whatever is lost."""

    kind: ClassVar[str] = "hysteria"
    engine: ClassVar[Engine] = singbox.OVER_QUIC
    carries: ClassVar[Carries] = Carries()

    server: str
    port: int
    sni: str
    password: str = field(repr=False)
    up: int
    down: int
    obfs_password: str = field(default="", repr=False)
    alpn: str = "hysteria"

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: singbox.Json = {
            "type": "hysteria",
            "server": self.server,
            "server_port": self.port,
            "up_mbps": self.up,
            "down_mbps": self.down,
            "tls": singbox.tls(self.sni, self.alpn),
        }
        secrets = {"auth_str": self.password, "obfs": self.obfs_password}
        outbound |= {key: value for key, value in secrets.items() if value}
        return singbox.launch(
            name, slot, outbound, upstreams(self.server, ((self.port, self.port),), "udp"), self.carries, via
        )
