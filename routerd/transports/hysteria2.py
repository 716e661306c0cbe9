"""Hysteria2, QUIC with its own congestion control. The ports may hop, the packets may be obfuscated.

By sing-box; where the server's certificate is pinned, by Xray: of a certificate sing-box can pin the public key alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import singbox, xray
from routerd.transports.doors import Ports, upstreams

OBFUSCATIONS = ("salamander", "gecko")
HOP_SECONDS = 30
UDP_SECONDS = 120  # RFC 4787, REQ-5


@dataclass(frozen=True, slots=True)
class Hysteria2:
    """`hops`: ranges of ports to hop over, `port` included; empty for a server that stays on `port`.

    `pin`: SHA-256 of the server's certificate, in hex, in place of the authorities.
    """

    kind: ClassVar[str] = "hysteria2"
    carries: ClassVar[Carries] = Carries()

    server: str
    port: int
    sni: str
    password: str = field(repr=False)
    hops: tuple[Ports, ...] = ()
    obfs: str = ""
    obfs_password: str = field(default="", repr=False)
    pin: str = ""

    @property
    def engine(self) -> Engine:
        return xray.ENGINE if self.pin else singbox.OVER_QUIC

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        allowed = upstreams(self.server, self.hops or ((self.port, self.port),), "udp")
        if self.pin:
            return xray.launch(name, slot, self._pinned(), allowed, self.carries, via)
        return singbox.launch(name, slot, self._checked(), allowed, self.carries, via)

    def _checked(self) -> singbox.Json:
        tls = singbox.tls(self.sni, "h3")
        outbound: singbox.Json = {"type": "hysteria2", "server": self.server, "password": self.password, "tls": tls}
        if self.hops:
            ranges = [f"{first}:{last}" for first, last in self.hops]
            outbound |= {"server_ports": ranges, "hop_interval": f"{HOP_SECONDS}s"}
        else:
            outbound |= {"server_port": self.port}
        return outbound | ({"obfs": {"type": self.obfs, "password": self.obfs_password}} if self.obfs else {})

    def _pinned(self) -> xray.Json:
        hop = {"ports": ",".join(f"{first}-{last}" for first, last in self.hops), "interval": HOP_SECONDS}
        mask: xray.Json = {"quicParams": {"udpHop": hop}} if self.hops else {}
        if self.obfs:
            mask |= {"udp": [{"type": self.obfs, "settings": {"password": self.obfs_password}}]}
        stream: xray.Json = {
            "network": "hysteria",
            "hysteriaSettings": {"version": 2, "auth": self.password, "udpIdleTimeout": UDP_SECONDS},
            **xray.secured(xray.Tls(self.sni, alpn=("h3",), pins=(self.pin,))),
            **({"finalmask": mask} if mask else {}),
        }
        settings = {"version": 2, "address": self.server, "port": self.port}
        return {"protocol": "hysteria", "settings": settings, "streamSettings": stream}
