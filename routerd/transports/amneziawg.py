"""AmneziaWG: WireGuard with junk ahead of its packets, and other headers and sizes than they have.

Neither Debian nor PyPI has it: it is carried where the box's owner has put awg, and amneziawg-go or the kernel's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Interface, Launch, Link
from routerd.transports.doors import upstreams
from routerd.transports.wireguard import WireGuard

Terms = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AmneziaWg:
    """As WireGuard. `terms`: the lines of [Interface] that awg(8) has beside wg(8)'s (links/amneziawg.py)."""

    kind: ClassVar[str] = "amneziawg"
    engine: ClassVar[Engine] = Engine("amneziawg-go")

    server: str
    port: int
    private_key: str = field(repr=False)
    public_key: str
    addresses: tuple[Interface, ...]
    preshared_key: str = field(default="", repr=False)
    mtu: int = 1420
    keepalive: int = 0
    terms: Terms = field(default=(), repr=False)

    @property
    def plain(self) -> WireGuard:
        """The same without its terms."""
        keys = self.private_key, self.public_key
        return WireGuard(self.server, self.port, *keys, self.addresses, self.preshared_key, self.mtu, self.keepalive)

    @property
    def carries(self) -> Carries:
        return self.plain.carries

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        allowed = upstreams(self.server, ((self.port, self.port),), "udp")
        ifname = f"cw-{slot}"
        text, ahead = self.plain.setconf(via, self.terms), int(dict(self.terms).get("S4", "0"))
        link = Link(ifname, self.addresses, self.mtu, wireguard=text, tool="awg", ahead=ahead)
        return Launch(name, slot, ("amneziawg-go", "-f", ifname), link, allowed)


def disguised(tunnel: WireGuard, terms: Terms) -> AmneziaWg:
    return AmneziaWg(
        tunnel.server,
        tunnel.port,
        tunnel.private_key,
        tunnel.public_key,
        tunnel.addresses,
        tunnel.preshared_key,
        tunnel.mtu,
        tunnel.keepalive,
        terms,
    )
