"""The measured against the asked, as a table: one row for each strike and each who was struck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from bench.failover.measure import Struck
from bench.failover.strikes import Strike

HEAD = ("strike", "who", "n", "p50", "p95", "max", "target p50/p95", "verdict", "dead downloads reset after")
WIDTHS = (36, 22, 4, 7, 7, 7, 15, 8, 0)
RESET = 0.5  # seconds after the decision


@dataclass(frozen=True, slots=True)
class Row:
    strike: Strike
    who: str
    struck: Sequence[Struck]
    window: float

    def seconds(self, share: float) -> float:
        """The nearest-rank percentile; infinite where service was not back in the window."""
        ordered = sorted(inf if s.seconds is None else s.seconds for s in self.struck)
        return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]

    @property
    def verdict(self) -> str:
        if self.who != "ours":
            return ""
        return "ok" if self.seconds(0.5) <= self.strike.median and self.seconds(0.95) <= self.strike.late else "MISSED"

    @property
    def downloads(self) -> str:
        """Of the last one of each strike, in the middle and at worst; then against the daemon's decision."""
        last = sorted(s.reset[-1] for s in self.struck if s.reset)
        after = [s.reset[-1] - s.decided for s in self.struck if s.reset and s.decided is not None]
        hanging = sum(s.hanging for s in self.struck)
        parts = [f"{last[len(last) // 2]:.2f}, at most {last[-1]:.2f} s"] if last else []
        parts += [f"{max(after):+.2f} s from the decision"] if after else []
        return "; ".join(parts + ([f"{hanging} hang"] if hanging else []))

    def cells(self) -> tuple[str, ...]:
        if not self.struck:
            return (self.strike.title, self.who, "0", "", "", "", "", "not measured", "")
        target = f"{self.strike.median:g}/{self.strike.late:g}"
        figures = (self._show(self.seconds(share)) for share in (0.5, 0.95, 1.0))
        return (self.strike.title, self.who, str(len(self.struck)), *figures, target, self.verdict, self.downloads)

    def _show(self, seconds: float) -> str:
        return f">{self.window:.0f}" if seconds == inf else f"{seconds:.2f}"


def line(cells: Sequence[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()
