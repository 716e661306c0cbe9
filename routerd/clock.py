"""The right date, from what several sources say.

The box may have no clock of its own, and a wrong date breaks TLS, Shadowsocks 2022 (30 s), VMess (120 s) and
WireGuard. The kernel's CLOCK_BOOTTIME cannot be set, by nobody: it runs evenly from boot, through sleep too. So all
there is to know is one number, `booted`: the Unix time at which CLOCK_BOOTTIME was 0. Once it is known, a clock that
someone sets wrong is put right again without asking anyone.

1. The median of at least QUORUM sources, one vote for each. While fewer than half of them lie, the median lies between
   two dates that honest ones gave; more than half must say the same to AGREE seconds, else there is no verdict.
2. Only a date between the floor and BUILT + LIFE is believed. The floor is the later of BUILT and the last date that
   a verdict gave (on disk): neither a replayed answer nor an old certificate leads us back behind it.
3. The clock is set when it is off by more than TOLERANCE: more than a source's error (Date counts whole seconds, and
   half a round trip is unknown), less than what any protocol minds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median_low

BUILT = datetime(2026, 11, 1, tzinfo=UTC).timestamp()  # a release sets it; tests/unit/test_units.py
LIFE = 3652 * 86400.0  # ten years
QUORUM = 3
AGREE, TOLERANCE = 10.0, 5.0  # seconds
DOUBT = 30 * 86400.0  # a clock so far ahead of the floor may stand in the future


@dataclass(frozen=True, slots=True)
class Sample:
    """What one source said: `booted` as above, in seconds."""

    source: str
    booted: float


def verdict(samples: Sequence[Sample], floor: float, uptime: float) -> float | None:
    """`booted` as most sources have it. `uptime`: CLOCK_BOOTTIME now. Total: any numbers may come."""
    said = sorted({s.source: s.booted for s in samples if math.isfinite(s.booted)}.values())
    if len(said) < QUORUM:
        return None
    middle = median_low(said)
    agreeing = sum(abs(other - middle) <= AGREE for other in said)
    return middle if 2 * agreeing > len(said) and believable(middle + uptime, floor) else None


def believable(date: float, floor: float) -> bool:
    return floor <= date <= BUILT + LIFE


def lowest(saved: float | None) -> float:
    """The floor. `saved`: the date on disk; one that cannot be is as good as none."""
    return saved if saved is not None and believable(saved, BUILT) else BUILT


def correction(shown: float, right: float) -> float:
    """By how many seconds a clock that shows `shown` has to be set; 0: it is right enough."""
    return right - shown if abs(right - shown) > TOLERANCE else 0.0


def distance(by: float) -> str:
    """How wrong it was, in words."""
    seconds = abs(by)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= 0.99 * length:
            count = round(seconds / length)
            return f"{count} {unit}{'s' if count != 1 else ''} {'behind' if by > 0 else 'ahead'}"
    return "right"
