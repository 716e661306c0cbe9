"""WireGuard: the kernel's own where it has it, else wireguard-go. One peer, and it carries everything."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Interface, Launch, Link, mark
from routerd.transports.doors import upstreams

EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass(frozen=True, slots=True)
class WireGuard:
    """Keys are base64 of 32 bytes. `keepalive` in seconds, 0 for none."""

    kind: ClassVar[str] = "wireguard"
    engine: ClassVar[Engine] = Engine("wireguard-go")

    server: str
    port: int
    private_key: str = field(repr=False)
    public_key: str
    addresses: tuple[Interface, ...]
    preshared_key: str = field(default="", repr=False)
    mtu: int = 1420
    keepalive: int = 0

    @property
    def carries(self) -> Carries:
        return Carries(ipv6=any(address.version == 6 for address in self.addresses))

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        allowed = upstreams(self.server, ((self.port, self.port),), "udp")
        ifname = f"cw-{slot}"
        link = Link(ifname, self.addresses, self.mtu, wireguard=self.setconf(via))
        return Launch(name, slot, ("wireguard-go", "-f", ifname), link, allowed)

    def setconf(self, via: int, terms: tuple[tuple[str, str], ...] = ()) -> str:
        """wg(8) `setconf`. AllowedIPs is everything: what enters the tunnel is for the ruleset to say, not for it.

        `terms`: further lines of [Interface], which only awg(8) knows.
        """
        families = sorted({address.version for address in self.addresses})
        preshared = [f"PresharedKey = {self.preshared_key}"] if self.preshared_key else []
        lines = [
            "[Interface]",
            f"PrivateKey = {self.private_key}",
            f"FwMark = {mark(via):#x}",
            *(f"{name} = {value}" for name, value in terms),
            "[Peer]",
            f"PublicKey = {self.public_key}",
            *preshared,
            f"Endpoint = {self._endpoint()}",
            f"AllowedIPs = {', '.join(EVERYTHING[family] for family in families)}",
            f"PersistentKeepalive = {self.keepalive}",  # 0: none; awg(8) knows no "off"
        ]
        return "\n".join(lines) + "\n"

    def _endpoint(self) -> str:
        host = f"[{self.server}]" if ip_address(self.server).version == 6 else self.server
        return f"{host}:{self.port}"
