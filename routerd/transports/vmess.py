"""VMess (AEAD) by Xray, with or without TLS: plain TCP or one of Xray's networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import xray
from routerd.transports.doors import upstreams

CIPHERS = ("auto", "aes-128-gcm", "chacha20-poly1305", "none", "zero")
UNENCRYPTED = ("none", "zero")  # fit only for the inside of TLS


@dataclass(frozen=True, slots=True)
class Vmess:
    kind: ClassVar[str] = "vmess"
    engine: ClassVar[Engine] = xray.ENGINE
    carries: ClassVar[Carries] = Carries()

    server: str
    port: int
    uuid: str = field(repr=False)
    cipher: str = "auto"
    security: xray.Security = None
    network: xray.Network = None

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: dict[str, object] = {
            "protocol": "vmess",
            "settings": {"address": self.server, "port": self.port, "id": self.uuid, "security": self.cipher},
            "streamSettings": xray.stream(self.network, self.security),
        }
        allowed = upstreams(self.server, ((self.port, self.port),), xray.proto(self.network, self.security))
        return xray.launch(name, slot, outbound, allowed, self.carries, via)
