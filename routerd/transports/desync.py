"""No server at all: straight out, a flow's first packets sent so that a censor's eye does not know them.

Hides nothing from the line, and gives the household no other address: it gets past what looks at names, and no more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch, Queue

AUTO = "auto"
FIRST_QUEUE = 0x7C00  # plus the slot: netfilter queues have numbers that all programs share


@dataclass(frozen=True, slots=True)
class Desync:
    """`strategy`: AUTO, so that one is searched for where a site fails; or one in the words of desync/grammar.py."""

    kind: ClassVar[str] = "desync"
    engine: ClassVar[Engine] = Engine("desync")
    carries: ClassVar[Carries] = Carries(hidden=False, straight=True)

    strategy: str = AUTO

    @property
    def server(self) -> str:
        """Of no machine."""
        return str(IPv4Address(0))

    @property
    def port(self) -> int:
        return 443

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        """`via` is UPSTREAM_SLOT: what goes straight out is inside nothing (chain.py)."""
        settings = {"slot": slot, "queue": FIRST_QUEUE + slot, "strategy": self.strategy}
        return Launch(name, slot, ("desync",), Queue(FIRST_QUEUE + slot), (), json.dumps(settings))
