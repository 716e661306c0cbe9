"""Large answers that freeze or crawl, seen in a transport's own TCP connections. Pure: what each received, by looks.

One connection that goes quiet says nothing: it is idle, or somebody paused. What a censor does looks otherwise: steady
flows that break in the same moment; connections that stop at the same size; nothing that is faster than a crawl. Or
what new ones ask is taken, acknowledged, and never answered: packets come back, and not a byte in them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

FLOWING, CRAWL = 8192, 4096  # bytes per second: more than the one flows, less than the other crawls
STEADY = 2  # looks in a row
QUIET, FORGOTTEN = 1.5, 6.0  # seconds without a byte: a steady flow that broke; one that we need not think of any more
TOGETHER = 1.2  # seconds
SAME, LEAST, MOST = 512, 8192, 1 << 16  # bytes: sizes that are the same, and where a censor might cut
SEVERAL, MANY = 3, 6
MUTE = 1.2  # seconds without a first byte; an answer takes two round trips


@dataclass(frozen=True, slots=True)
class Seen:
    """One connection: when first seen, bytes received, when last and when they last grew, looks in a row that it flowed
    or crawled.
    """

    born: float
    received: int
    at: float
    grown: float
    flowed: int = 0
    crawled: int = 0


Flows = Mapping[int, Seen]


def scan(before: Flows, received: Iterable[tuple[int, int]], now: float) -> Flows:
    """`received`: each open connection's cookie and what it has received in all."""
    return {key: _seen(before.get(key), size, now) for key, size in received}


def _seen(before: Seen | None, size: int, now: float) -> Seen:
    if before is None:
        return Seen(now, size, now, now)
    if size == before.received:  # what it did before it went quiet is kept
        return replace(before, at=now, crawled=0)
    rate = (size - before.received) / max(0.001, now - before.at)
    flowed, crawled = before.flowed + 1 if rate >= FLOWING else 0, before.crawled + 1 if rate < CRAWL else 0
    return Seen(before.born, size, now, now, flowed, crawled)


def stalled(flows: Flows, now: float) -> bool:
    """Whether it looks as if large answers did not pass any more."""
    seen = flows.values()
    return _broke_together(seen, now) or _stopped_at_one_size(seen, now) or _only_crawl(seen, now)


def mute(flows: Flows, now: float) -> bool:
    """Whether new connections get no answer, none of them; older ones may well go on."""
    opened = sorted(s.born for s in flows.values() if not s.received and now - s.born >= MUTE)
    if len(opened) < SEVERAL:
        return False
    return not any(s.received and s.born >= opened[-SEVERAL] for s in flows.values())


def _broke_together(seen: Collection[Seen], now: float) -> bool:
    broke = sorted(s.grown for s in seen if s.flowed >= STEADY and QUIET <= now - s.grown < FORGOTTEN)
    return any(b - a <= TOGETHER for a, b in pairwise(broke))


def _stopped_at_one_size(seen: Collection[Seen], now: float) -> bool:
    # Who waits for a page hangs up soon: quiet for a look will do. But a page that many have asked for is of one size
    # too: what went on beyond that size meanwhile shows that nothing is cut there. Steady ones may just have begun
    # together; when they break, it is for longer.
    quiet = (s for s in seen if s.flowed < STEADY and 0 < now - s.grown < FORGOTTEN)
    sizes = sorted(s.received for s in quiet if LEAST <= s.received <= MOST)
    passed = max((s.received for s in seen if now - s.grown < QUIET), default=0)
    return any(b - a <= SAME and passed <= a + SAME for a, b in zip(sizes, sizes[MANY - 1 :], strict=False))


def _only_crawl(seen: Collection[Seen], now: float) -> bool:
    alive = [s for s in seen if s.grown == now]
    return sum(s.crawled >= SEVERAL for s in alive) >= SEVERAL and not any(s.flowed for s in alive)
