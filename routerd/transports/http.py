"""An HTTP proxy that knows CONNECT, over TLS or in the clear (docs/decisions/0014), by sing-box. TCP and nothing else.

Over TLS, the ClientHello is Go's and not a browser's (see singbox.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import singbox
from routerd.transports.doors import upstreams


@dataclass(frozen=True, slots=True)
class Http:
    """`sni`: empty for a proxy without TLS."""

    kind: ClassVar[str] = "http"
    engine: ClassVar[Engine] = singbox.ENGINE

    server: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    sni: str = ""

    @property
    def carries(self) -> Carries:
        return Carries(udp=False, hidden=bool(self.sni))

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: singbox.Json = {"type": "http", "server": self.server, "server_port": self.port}
        secrets = {"username": self.user, "password": self.password}
        outbound |= {key: value for key, value in secrets.items() if value}
        outbound |= {"tls": singbox.tls(self.sni)} if self.sni else {}
        return singbox.launch(
            name, slot, outbound, upstreams(self.server, ((self.port, self.port),), "tcp"), self.carries, via
        )
