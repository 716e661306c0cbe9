"""What counts as without service. Pure: times in, seconds out; the package's docstring has the definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

INTERVAL = 0.05  # seconds from one request to the next
STEADY = 2.0  # seconds in which every request was answered


@dataclass(frozen=True, slots=True)
class Request:
    began: float
    ended: float
    good: bool
    stage: str  # where a lost one was: `name` or `answer`


@dataclass(frozen=True, slots=True)
class Download:
    """`broken`: it ended by itself; else it was open until `ended`. `last` is when its last byte came."""

    began: float
    last: float
    ended: float
    broken: bool


def lost(requests: Sequence[Request], since: float) -> list[Request]:
    """Those that were under way at `since` are among them."""
    return [r for r in requests if not r.good and r.ended > since]


def without_service(requests: Sequence[Request], since: float) -> float | None:
    """Seconds; None when service did not come back."""
    missed = [r.began for r in lost(requests, since)]
    last = max(missed, default=since)
    back = min((r.ended for r in requests if r.good and r.began > last), default=None)
    if back is None:
        return None
    marks = [since, *sorted(r.ended for r in requests if r.good and r.ended > since)]
    gap = max(b - a for a, b in pairwise(marks))
    span = back - max(since, min(missed)) if missed else 0.0
    return max(gap - INTERVAL, span, 0.0)


def steady(requests: Sequence[Request], since: float) -> bool:
    """Whether it is over: none of the requests of the last two seconds was lost."""
    last = max((r.began for r in lost(requests, since)), default=since)
    good = [r.began for r in requests if r.good and r.began > last]
    return len(good) > 0.8 * STEADY / INTERVAL and max(good) - last >= STEADY
