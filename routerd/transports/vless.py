"""VLESS by Xray, inside TLS or REALITY: plain TCP, maybe with Vision, or one of Xray's networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import xray
from routerd.transports.doors import upstreams

FLOWS = ("", "xtls-rprx-vision", "xtls-rprx-vision-udp443")


@dataclass(frozen=True, slots=True)
class Vless:
    """`encryption` is "none", or VLESS's own (mlkem768x25519plus…), a public key that needs no TLS around it."""

    kind: ClassVar[str] = "vless"
    engine: ClassVar[Engine] = xray.ENGINE

    server: str
    port: int
    uuid: str = field(repr=False)
    security: xray.Security
    network: xray.Network = None
    flow: str = ""
    encryption: str = field(default="none", repr=False)

    @property
    def carries(self) -> Carries:
        # Vision drops UDP 443 in silence; the ruleset refuses it instead, so that browsers fall back to TCP at once.
        return Carries(quic=self.flow != "xtls-rprx-vision")

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: dict[str, object] = {
            "protocol": "vless",
            "settings": {
                "address": self.server,
                "port": self.port,
                "id": self.uuid,
                "flow": self.flow,
                "encryption": self.encryption,
            },
            "streamSettings": xray.stream(self.network, self.security),
        }
        allowed = upstreams(self.server, ((self.port, self.port),), xray.proto(self.network, self.security))
        return xray.launch(name, slot, outbound, allowed, self.carries, via)
