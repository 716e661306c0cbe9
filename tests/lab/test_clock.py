"""Faults 53 and 54 as far as they can be had on this machine, whose clock is never set.

libfaketime shifts what the daemon takes for the time: its own clock and OpenSSL's, not that of the engines (Go asks the
kernel itself) nor of the servers. The kernel refuses to set the clock (box.NO_CLOCK), so what routerd would do is read
from its Status. What really happens to each kind of transport once the clock is set: tests/vm/test_clock.py.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest


from .box import Box
from .lab import Lab

DAY = 86400
YEAR = 365 * DAY


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(["ss", "ss2022"]) as made:
        yield made


def shifted(seconds: int) -> dict[str, str]:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return {"LD_PRELOAD": str(library), "FAKETIME": f"{seconds:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def clock_problem(status: dict[str, object]) -> str:
    return next((p["title"] for p in status["problems"] if p["code"] == "clock_wrong"), "")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("offset", "found"),
    [(-YEAR, "365 days behind"), (YEAR, "365 days ahead"), (20 * YEAR, "7300 days ahead"), (-3600, "1 hour behind")],
)
def test_fault_53_a_wrong_clock_is_found_out_without_clear_ntp(lab: Lab, offset: int, found: str) -> None:
    with Box(lab, ["ss", "ss2022"], env=shifted(offset)) as box:
        took = box.wait(lambda s: found in clock_problem(s), 60, found)
        print(f"{offset:+d} s: known after {took:.1f} s")
