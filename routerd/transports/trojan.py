"""Trojan by Xray: a password inside TLS, over plain TCP or one of Xray's networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import xray
from routerd.transports.doors import upstreams


@dataclass(frozen=True, slots=True)
class Trojan:
    kind: ClassVar[str] = "trojan"
    engine: ClassVar[Engine] = xray.ENGINE
    carries: ClassVar[Carries] = Carries()

    server: str
    port: int
    password: str = field(repr=False)
    security: xray.Tls | xray.Reality
    network: xray.Network = None

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: dict[str, object] = {
            "protocol": "trojan",
            "settings": {"address": self.server, "port": self.port, "password": self.password},
            "streamSettings": xray.stream(self.network, self.security),
        }
        allowed = upstreams(self.server, ((self.port, self.port),), xray.proto(self.network, self.security))
        return xray.launch(name, slot, outbound, allowed, self.carries, via)
