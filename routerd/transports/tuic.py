"""TUIC, version 5: QUIC with a user and a password, by sing-box."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import singbox
from routerd.transports.doors import upstreams

CONGESTION = ("cubic", "new_reno", "bbr")
RELAYS = ("native", "quic")


@dataclass(frozen=True, slots=True)
class Tuic:
    """`relay`: datagrams as QUIC's own, which may be lost, or each in a stream."""

    kind: ClassVar[str] = "tuic"
    engine: ClassVar[Engine] = singbox.OVER_QUIC
    carries: ClassVar[Carries] = Carries()

    server: str
    port: int
    uuid: str = field(repr=False)
    password: str = field(repr=False)
    sni: str
    alpn: tuple[str, ...] = ("h3",)
    congestion: str = "cubic"
    relay: str = "native"

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: singbox.Json = {
            "type": "tuic",
            "server": self.server,
            "server_port": self.port,
            "uuid": self.uuid,
            "password": self.password,
            "congestion_control": self.congestion,
            "udp_relay_mode": self.relay,
            "tls": singbox.tls(self.sni, *self.alpn),
        }
        return singbox.launch(
            name, slot, outbound, upstreams(self.server, ((self.port, self.port),), "udp"), self.carries, via
        )
