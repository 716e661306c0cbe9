"""ShadowTLS, version 3: Shadowsocks inside what begins as a true TLS handshake with somebody else's site, by sing-box.

The handshake is genuine, but its ClientHello is Go's and not a browser's (see singbox.py). Shadowsocks' UDP would go
beside the disguise, so there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import singbox
from routerd.transports.doors import upstreams


@dataclass(frozen=True, slots=True)
class ShadowTls:
    """`method`, `password`: of the Shadowsocks inside. `sni`: the site whose handshake it is."""

    kind: ClassVar[str] = "shadowtls"
    engine: ClassVar[Engine] = singbox.ENGINE
    carries: ClassVar[Carries] = Carries(udp=False)

    server: str
    port: int
    method: str
    password: str = field(repr=False)
    sni: str
    cover_password: str = field(repr=False)

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        inner: singbox.Json = {
            "type": "shadowsocks",
            "server": self.server,
            "server_port": self.port,
            "method": self.method,
            "password": self.password,
        }
        around: singbox.Json = {
            "type": "shadowtls",
            "server": self.server,
            "server_port": self.port,
            "version": 3,
            "password": self.cover_password,
            "tls": singbox.tls(self.sni),
        }
        allowed = upstreams(self.server, ((self.port, self.port),), "tcp")
        return singbox.launch(name, slot, inner, allowed, self.carries, via, wrapped_in=around)
