"""iodine: IPv4 inside questions for names, through any resolver that answers. The last resort: slow, hiding nothing.

Its client sets no mark on its socket and insists on being root: it is known by the group that it alone runs as.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch, Link
from routerd.transports.doors import upstreams

PORT = 53  # the client knows no other
MTU = 1130  # the server's default, that the client takes too: it splits what does not fit a name


@dataclass(frozen=True, slots=True)
class Iodine:
    """`server` is whom it asks: a resolver, or the tunnel's own server. `domain` is the one that leads there."""

    kind: ClassVar[str] = "iodine"
    engine: ClassVar[Engine] = Engine("iodine")
    carries: ClassVar[Carries] = Carries(ipv6=False, hidden=False)

    server: str
    domain: str
    password: str = field(repr=False)

    @property
    def port(self) -> int:
        return PORT

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        allowed = upstreams(self.server, ((PORT, PORT),), "udp")
        ifname = f"cw-{slot}"
        # -r: no packets but questions, even where its server could be reached without.
        argv = ("iodine", "-f", "-r", "-d", ifname, self.server, self.domain)
        link = Link(ifname, (), MTU, families=(4,))
        return Launch(name, slot, argv, link, allowed, stdin=f"{self.password}\n", grouped=True)
