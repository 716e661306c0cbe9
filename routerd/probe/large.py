"""A large answer: some censors let a connection's first kilobytes pass and freeze or throttle the rest.

Two sources in parallel, because a source may be slow or gone by itself: only what happens to both is the transport's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from routerd.probe.https import ProbeError, fetch

ENOUGH = 1 << 16  # bytes
STALLED = 2.0  # seconds without a byte, behind the first
CRAWL, LOOKED_AT = 4096, 3.0  # bytes per second, over so many seconds
LONGEST = 12.0  # seconds
SOME = 1024  # bytes: less is no large answer that froze


@dataclass(frozen=True, slots=True)
class Got:
    """What came of one: bytes, seconds from the first of them to the last, whether it stopped or crawled."""

    size: int
    seconds: float
    stuck: bool

    @property
    def rate(self) -> float:
        return self.size / max(0.001, self.seconds)


@dataclass(slots=True)
class _Growth:
    size: int = 0
    first: float = 0.0
    last: float = 0.0

    def grown(self, size: int) -> None:
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.size += size

    def stuck(self, now: float) -> bool:
        if not self.size:
            return False
        took = now - self.first
        return now - self.last >= STALLED or (took >= LOOKED_AT and self.size / took < CRAWL)

    def got(self, stuck: bool) -> Got:
        return Got(self.size, self.last - self.first, stuck)


async def measure(url: str, address: str, mark: int) -> Got | None:
    """None where it says nothing: no answer at all, or an error."""
    growth = _Growth()
    task = asyncio.create_task(fetch(url, address, mark, LONGEST, ENOUGH, growth.grown))
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=0.1)
            if not task.done() and growth.stuck(time.monotonic()):
                return growth.got(stuck=True)
        await task
        return growth.got(stuck=False) if growth.size else None
    except ProbeError:
        return None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def verdict(gots: Sequence[Got | None]) -> tuple[float | None, str]:
    """The best rate, or why it is stuck; neither where there is nothing to say."""
    whole = [got.rate for got in gots if got and not got.stuck]
    if whole:
        return max(whole), ""
    stuck = [got for got in gots if got and got.size >= SOME]
    if not stuck or len(stuck) < len(gots):
        return None, ""
    most = max(stuck, key=lambda got: got.size)
    crawls = most.seconds >= LOOKED_AT - STALLED and most.rate < CRAWL
    return None, "throttled to a crawl" if crawls else f"frozen after {most.size // 1024} KB"
