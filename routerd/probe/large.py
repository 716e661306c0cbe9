"""A large answer: some censors let a connection's first kilobytes pass and freeze or throttle the rest.

Two sources in parallel, because a source may be slow or gone by itself: only what happens to both is the transport's.
Where small answers are late by every other way too, the line may be what is slow: several rounds have to agree, and
another transport has to bring a large one just then (prober.py). Elsewhere it does not: a censor may freeze them all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from routerd.probe.https import ProbeError, Terms, fetch

ENOUGH = 1 << 16  # bytes
BEGINNING = 4.0  # seconds from the first packet to the question: a censor may freeze the handshake, too
STALLED = 2.0  # seconds without a byte, behind the question: a TLS record may be larger than what is let through
LATE = 2.0  # times a small answer's latency, where that is longer
CRAWL, LOOKED_AT = 4096, 3.0  # bytes per second, over so many seconds
LONGEST = 12.0  # seconds
FAIR = ENOUGH // 2  # bytes: less is no large answer


@dataclass(frozen=True, slots=True)
class Got:
    """What came of one: bytes, seconds from the question to the last of them, whether it stopped or crawled."""

    size: int
    seconds: float
    stuck: bool

    @property
    def rate(self) -> float:
        return self.size / max(0.001, self.seconds)


@dataclass(slots=True)
class Growth:
    """`began`: when the first packet was sent. `patience`: seconds without a byte behind the question.

    A line whose good answers are late has late bytes, too. But no later than LOOKED_AT: through what is throttled,
    small answers are late as well.
    """

    began: float
    patience: float
    size: int = 0
    first: float = 0.0
    last: float = 0.0

    def grown(self, size: int, now: float) -> None:
        self.last = now
        self.first = self.first or now
        self.size += size

    def stuck(self, now: float) -> bool:
        if not self.first:
            return now - self.began >= BEGINNING
        took = now - self.first
        return now - self.last >= self.patience or (took >= LOOKED_AT and self.size < CRAWL * took)

    def got(self, stuck: bool) -> Got:
        return Got(self.size, self.last - self.first, stuck)


async def measure(url: str, address: str, mark: int, latency: float) -> Got | None:
    """None where it says nothing: no answer at all, or an error. `latency`: seconds of a small answer just now."""
    growth = Growth(time.monotonic(), max(STALLED, LATE * latency))
    terms = Terms(ENOUGH, partial(_grown, growth), only=True)
    task = asyncio.create_task(fetch(url, address, mark, LONGEST, terms))
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=0.1)
            if not task.done() and growth.stuck(time.monotonic()):
                return growth.got(stuck=True)
        answer = await task
        return growth.got(stuck=False) if answer.status in (200, 206) and growth.size >= FAIR else None
    except ProbeError:
        return None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _grown(growth: Growth, size: int) -> None:
    growth.grown(size, time.monotonic())


def whole(gots: Sequence[Got | None]) -> list[Got]:
    return [got for got in gots if got and not got.stuck]


def unsure(gots: Sequence[Got | None]) -> bool:
    """Some are stuck, and another says nothing; or not a byte came of any: once more, before that counts."""
    stuck = [got for got in gots if got]
    return bool(stuck) and not whole(gots) and (len(stuck) < len(gots) or not any(got.size for got in stuck))


def verdict(gots: Sequence[Got | None]) -> tuple[float | None, str]:
    """The best rate, or why it is stuck; neither where there is nothing to say."""
    if good := whole(gots):
        return max(got.rate for got in good), ""
    stuck = [got for got in gots if got]
    if not stuck or len(stuck) < len(gots):
        return None, ""
    most = max(stuck, key=lambda got: got.size)
    crawls = most.seconds >= LOOKED_AT - STALLED and most.rate < CRAWL
    return None, "throttled to a crawl" if crawls else f"frozen after {most.size >> 10} KB"
