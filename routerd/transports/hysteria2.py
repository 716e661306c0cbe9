"""Hysteria2, QUIC with its own congestion control, by sing-box. The ports may hop, the packets may be obfuscated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import singbox
from routerd.transports.doors import Ports, upstreams

OBFUSCATIONS = ("salamander", "gecko")


@dataclass(frozen=True, slots=True)
class Hysteria2:
    """`hops`: ranges of ports to hop over, `port` included; empty for a server that stays on `port`."""

    kind: ClassVar[str] = "hysteria2"
    engine: ClassVar[Engine] = singbox.OVER_QUIC
    carries: ClassVar[Carries] = Carries()

    server: str
    port: int
    sni: str
    password: str = field(repr=False)
    hops: tuple[Ports, ...] = ()
    obfs: str = ""
    obfs_password: str = field(default="", repr=False)

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: dict[str, object] = {
            "type": "hysteria2",
            "server": self.server,
            "password": self.password,
            "tls": singbox.tls(self.sni, "h3"),
        }
        outbound |= self._ports() | self._obfs()
        ports = self.hops or ((self.port, self.port),)
        return singbox.launch(name, slot, outbound, upstreams(self.server, ports, "udp"), self.carries, via)

    def _ports(self) -> dict[str, object]:
        if not self.hops:
            return {"server_port": self.port}
        return {"server_ports": [f"{first}:{last}" for first, last in self.hops], "hop_interval": "30s"}

    def _obfs(self) -> dict[str, object]:
        return {"obfs": {"type": self.obfs, "password": self.obfs_password}} if self.obfs else {}
