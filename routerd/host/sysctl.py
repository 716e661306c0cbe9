"""Writes the kernel's switches, only where they differ, and says which did."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ROOT = Path("/proc/sys")


def apply(wanted: Iterable[tuple[str, str]]) -> list[str]:
    """The keys that had to be changed. A key of an interface or a feature that is not there is passed over."""
    return [key for key, value in wanted if _write(ROOT / key, value)]


def differing(wanted: Iterable[tuple[str, str]]) -> list[str]:
    return [key for key, value in wanted if _read(ROOT / key) not in (None, value)]


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _write(path: Path, value: str) -> bool:
    if _read(path) in (None, value):
        return False
    path.write_text(value)
    return True
