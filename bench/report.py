"""What was measured against what was asked, as a table. A missed target is said, and changes no exit status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

WIDTHS = (60, 8, 29, 29, 19)


@dataclass(frozen=True, slots=True)
class Samples:
    """At least one measured value, all of one unit."""

    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    def __str__(self) -> str:
        spread = f" ({_short(min(self.values))}-{_short(max(self.values))})" if len(self.values) > 1 else ""
        return f"{_short(self.median)}{spread} {self.unit}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a value, or with `base` a share of that. `floor` or `ceiling` is the target, if there is one."""

    what: str
    measured: Samples
    base: Samples | None = None
    floor: float | None = None
    ceiling: float | None = None

    @property
    def ratios(self) -> list[float]:
        """Of pairs that were measured one right after the other, in ascending order; empty without `base`."""
        pairs = zip(self.measured.values, self.base.values, strict=True) if self.base else ()
        return sorted(ours / base if base else float("inf") for ours, base in pairs)

    @property
    def ratio(self) -> float | None:
        return median(self.ratios) if self.base else None

    @property
    def unsure(self) -> bool:
        """Whether the true ratio may well meet the floor: two pairs or more did."""
        return self.floor is not None and len(self.ratios) > 2 and self.ratios[-2] >= self.floor

    @property
    def target(self) -> str:
        if self.floor is not None:
            return f">= {_short(self.floor)}"
        return f"<= {_short(self.ceiling)}" if self.ceiling is not None else ""

    @property
    def missed(self) -> bool:
        value = self.measured.median if self.base is None else self.ratio
        low = self.floor is not None and not (value is not None and value >= self.floor)
        high = self.ceiling is not None and not (value is not None and value <= self.ceiling)
        return low or high

    @property
    def verdict(self) -> str:
        if not self.target:
            return ""
        return "ok" if not self.missed else "MISSED, unsure" if self.unsure else "MISSED"

    def cells(self) -> tuple[str, ...]:
        ratio = "" if self.ratio is None else f"{self.ratio:.3f} ({self.ratios[0]:.2f}-{self.ratios[-1]:.2f})"
        return (self.what, self.target, str(self.measured), str(self.base or ""), ratio, self.verdict)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _line(cells: Sequence[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, (*WIDTHS, 0), strict=True)).rstrip()


def head() -> str:
    names = ("what", "target", "measured: median (min-max)", "compared with", "ratio", "verdict")
    return f"{_line(names)}\n{'-' * 165}"


def show(row: Row) -> None:
    """At once: a run takes minutes."""
    print(_line(row.cells()), flush=True)


def summary(rows: Sequence[Row]) -> str:
    missed = [f"{row.verdict}: {row.what}: wanted {row.target}, got {_got(row)}" for row in rows if row.missed]
    asked = sum(1 for row in rows if row.target)
    return "\n".join([*missed, f"{asked - len(missed)} of {asked} targets met"])


def _got(row: Row) -> str:
    return str(row.measured) if row.ratio is None else f"{row.ratio:.3f} ({row.measured} against {row.base})"
