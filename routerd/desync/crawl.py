"""A search as data: in which order strategies are tried for a site, what each try found, and when it is over. Pure.

Several are under way at a time, the cheapest first; one that worked is tried once more before it is believed. Where a
censor remembers whom it has caught, each wrong try costs an address for a minute: a fresh one comes before one that
has failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

DOUBT = "clearway: a site fails, and nothing helps"  # the worker, on stderr; host/children.py listens for it
AT_ONCE = 4
SECONDS = 25.0  # of a whole search
TRY = 3.0  # of one try
TWICE = 2  # good answers before a strategy is believed
PLAIN = 0.7  # seconds that the plain page gets behind a strategy that works
STAGGER = 0.04  # seconds between two beginnings: the cheaper one is to win

Found = Literal["good", "bad", "unreachable"]


@dataclass(frozen=True, slots=True)
class Try:
    """`number`: of the strategy, as the worker counts them; 0 for none."""

    number: int
    address: str


@dataclass(slots=True)
class Crawl:
    """`order`: the strategies' numbers. `addresses`: the one that failed first."""

    order: Sequence[int]
    addresses: list[str]
    careful: bool = False  # one try at a time: whom this censor has caught is shut out for a while
    good: dict[int, int] = field(default_factory=dict)
    bad: set[int] = field(default_factory=set)
    failures: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)  # addresses where nobody takes a connection
    tried: int = 0
    met: bool = False  # whether anything was reached at all
    believed: int | None = None  # what worked twice; used only where the plain page fails
    _begun: list[int] = field(default_factory=list)
    _ended: int = 0

    def plain(self) -> Try:
        """Whether it fails at all is looked at where it did."""
        return Try(0, self.addresses[0])

    def next(self) -> Try | None:
        """The next one to begin; None where there is none for now."""
        if self.believed is not None or (self.careful and self._under_way()) or self._in_vain():
            return None
        again = next((n for n, count in self.good.items() if n and 0 < count < TWICE and n not in self.bad), None)
        if again is not None and self._begun.count(again) <= self.good[again]:
            return self._try(again)
        fresh = next((n for n in self.order if n not in self._begun), None)
        return None if fresh is None or again is not None else self._try(fresh)

    def _in_vain(self) -> bool:
        """Nobody takes a connection at any address, so that there is nobody to say anything to."""
        return not self.met and self.tried >= AT_ONCE and self.gone.issuperset(self.addresses)

    def _under_way(self) -> bool:
        return len(self._begun) > self._ended

    def _try(self, number: int) -> Try:
        """The last word is had where it failed, unless nobody is reached there any more: families differ."""
        self._begun.append(number)
        if self.good.get(number) and self.addresses[0] not in self.gone:
            return Try(number, self.addresses[0])
        address = min(self.addresses, key=lambda one: (self.failures.get(one, one == self.addresses[0]), one))
        return Try(number, address)

    def ended(self, one: Try, found: Found) -> int | None:
        """The end, where this was it: what works, or 0: the plain page comes, twice, and nothing is needed."""
        self.tried += one.number > 0
        self._ended += one.number > 0
        self.met = self.met or found != "unreachable"
        if found == "good":
            self.good[one.number] = self.good.get(one.number, 0) + 1
            if self.good[one.number] < TWICE:
                return None
            if one.number == 0:
                return 0
            self.believed = one.number
            return self.believed if 0 in self.bad else None
        self._failed(one, found)
        return self.believed if one.number == 0 else None

    def _failed(self, one: Try, found: Found) -> None:
        if found == "unreachable":
            self.gone.add(one.address)
        self.failures[one.address] = self.failures.get(one.address, 0) + 1
        self.bad.add(one.number)
        self.good.pop(one.number, None)


def ordered(prior: Sequence[str], won: Sequence[str], first: int) -> list[int]:
    """Numbers, from `first`, in the order in which they are tried: `won` first."""
    proven = [prior.index(text) + first for text in won if text in prior]
    return [*proven, *(n for n in range(first, first + len(prior)) if n not in proven)]
