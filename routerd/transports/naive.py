"""NaiveProxy: CONNECT inside HTTP/2 or QUIC by Chromium's own network stack, so that it looks like Chrome. By sing-box.

Needs a sing-box with Chromium's stack inside (its own release builds have it, the PyPI wheel has not). TCP and nothing
else. That stack checks the server's certificate by its own rules, which nothing here can loosen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import singbox
from routerd.transports.doors import upstreams


@dataclass(frozen=True, slots=True)
class Naive:
    """`quic`: HTTP/3 in place of HTTP/2."""

    kind: ClassVar[str] = "naive"
    engine: ClassVar[Engine] = Engine("sing-box", "with_naive_outbound")
    carries: ClassVar[Carries] = Carries(udp=False, quic=False)

    server: str
    port: int
    user: str
    password: str = field(repr=False)
    sni: str
    quic: bool = False

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: singbox.Json = {
            "type": "naive",
            "server": self.server,
            "server_port": self.port,
            "username": self.user,
            "password": self.password,
            "tls": singbox.tls(self.sni),
        }
        outbound |= {"quic": True} if self.quic else {}
        allowed = upstreams(self.server, ((self.port, self.port),), "udp" if self.quic else "tcp")
        return singbox.launch(name, slot, outbound, allowed, self.carries, via)
