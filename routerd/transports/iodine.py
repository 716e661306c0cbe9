"""A DNS tunnel by our own client of iodined, as a link: slow, and the last that gets out in a shutdown.

Nothing is encrypted, and a resolver of the provider reads along: another transport should travel inside (`via`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch, Link, mark
from routerd.transports.doors import upstreams

MTU = 1130  # iodined's own, unless told otherwise


@dataclass(frozen=True, slots=True)
class Iodine:
    """`server`, `port`: the resolver that is asked, or the tunnel's own server; OF_THE_LINE: the line's own resolver.

    `domain`: what the tunnel's server answers for.
    """

    kind: ClassVar[str] = "iodine"
    engine: ClassVar[Engine] = Engine("dns-tunnel")
    carries: ClassVar[Carries] = Carries(ipv6=False, hidden=False)

    server: str
    port: int
    domain: str
    password: str = field(repr=False)

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        allowed = upstreams(self.server, ((self.port, self.port),), "udp")
        link = Link(f"cw-{slot}", (), MTU, families=(4,))
        settings = {
            "resolver": self.server,
            "port": self.port,
            "domain": self.domain,
            "password": self.password,
            "interface": link.ifname,
            "mark": mark(via),
        }
        return Launch(name, slot, ("dns-tunnel",), link, allowed, json.dumps(settings), via)
