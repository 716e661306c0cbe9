"""AnyTLS: a password inside TLS, with padding that hides how long the first packets are, by sing-box.

Xray has none, so the ClientHello is Go's and not a browser's (see singbox.py). UDP goes over TCP inside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import singbox
from routerd.transports.doors import upstreams


@dataclass(frozen=True, slots=True)
class AnyTls:
    kind: ClassVar[str] = "anytls"
    engine: ClassVar[Engine] = singbox.ENGINE
    carries: ClassVar[Carries] = Carries()

    server: str
    port: int
    password: str = field(repr=False)
    sni: str

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: singbox.Json = {
            "type": "anytls",
            "server": self.server,
            "server_port": self.port,
            "password": self.password,
            "tls": singbox.tls(self.sni),
        }
        return singbox.launch(
            name, slot, outbound, upstreams(self.server, ((self.port, self.port),), "tcp"), self.carries, via
        )
