"""A SOCKS proxy, version 4 or 5, by sing-box. Nothing is encrypted on the way to it: docs/decisions/0014."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import singbox
from routerd.transports.doors import upstreams

EVERY_PORT = (1, 65535)


@dataclass(frozen=True, slots=True)
class Socks:
    """Version 4 knows neither UDP nor IPv6, and no password."""

    kind: ClassVar[str] = "socks"
    engine: ClassVar[Engine] = singbox.ENGINE

    server: str
    port: int
    version: int = 5
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def carries(self) -> Carries:
        return Carries(udp=self.version == 5, ipv6=self.version == 5, hidden=False)

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: singbox.Json = {
            "type": "socks",
            "server": self.server,
            "server_port": self.port,
            "version": str(self.version),
        }
        secrets = {"username": self.user, "password": self.password}
        outbound |= {key: value for key, value in secrets.items() if value}
        allowed = upstreams(self.server, ((self.port, self.port),), "tcp")
        # The server chooses a port for the datagrams, and says it inside (RFC 1928, UDP ASSOCIATE).
        datagrams = upstreams(self.server, (EVERY_PORT,), "udp") if self.version == 5 else ()
        return singbox.launch(name, slot, outbound, allowed + datagrams, self.carries, via)
