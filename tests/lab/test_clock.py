"""Faults 53 and 54 as far as they can be had on this machine, whose clock is never set.

libfaketime shifts what the daemon takes for the time: its own clock and OpenSSL's, not that of the engines (Go asks the
kernel itself) nor of the servers. The kernel refuses to set the clock (box.NO_CLOCK), so what routerd would do is read
from its Status, and what it believes from its floor on disk. What becomes of each kind of transport once the clock is
really set: tests/vm/test_clock.py.
"""

import datetime
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from routerd.clock import BUILT, LIFE

from . import censor, pki
from .box import SOURCES, Box
from .capture import Allowed
from .lab import Lab
from .net import wait_until

DAY, YEAR = 86400, 365 * 86400
LIARS = ("198.51.100.31", "198.51.100.32", "198.51.100.33")
ROUNDS = 2  # of asking, before we take it that there will be no verdict


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(["ss", "trojan"]) as made:
        made.sites.sh("; ".join(f"ip addr add {address}/25 dev eth0" for address in LIARS))
        yield made


def shifted(seconds: int) -> dict[str, str]:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return {"LD_PRELOAD": str(library), "FAKETIME": f"{seconds:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def problem(status: dict[str, Any]) -> str:
    return next((p["title"] for p in status["problems"] if p["code"] == "clock_wrong"), "")


def told(lab: Lab) -> int:
    """How many answers the liars have given, since the lab began."""
    log = lab.sites.directory / "dated.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def liars(lab: Lab, *offsets: float, ca: pki.Authority | None = None) -> list[str]:
    """Sites whose clocks are so many seconds off; their certificates are good for thirty years either way."""
    for address, off in zip(LIARS, offsets, strict=False):
        lasting = datetime.timedelta(days=30 * 365)
        cert = (ca or lab.ca).issue(lab.sites.directory, f"liar-{address}", [address], lasting=lasting)
        lab.sites.module("dated", address, str(cert.cert), str(cert.key), str(off))
        wait_until(lambda address=address: f"{address}:443" in lab.sites.sh("ss -Hltn"), 10, "the liar listens")  # type: ignore[misc]
    return list(LIARS[: len(offsets)])


@pytest.fixture(autouse=True)
def _no_liars_are_left(lab: Lab) -> Iterator[None]:
    before = len(lab.sites.children)
    yield
    for child in lab.sites.children[before:]:
        child.kill()
        child.wait()


def believed(box: Box) -> float | None:
    """The date that routerd is sure of, as its floor on disk says it."""
    file = box.folder / "state" / "date"
    return float(file.read_text()) if file.exists() else None


def is_sure(box: Box) -> None:
    wait_until(lambda: believed(box) is not None, 15, "the date is known")
    date = believed(box)
    assert date is not None
    assert abs(date + 60 - time.time()) < 10


def stays_unsure(lab: Lab, sources: Sequence[str], floor: float | None = None) -> None:
    """After some rounds there is no verdict; the household is served all the same."""
    with Box(lab, ["ss"], sources=sources) as box:
        if floor:
            (box.folder / "state").mkdir(exist_ok=True)
            (box.folder / "state" / "date").write_text(str(floor))
        before = told(lab)
        box.wait_open("ss")
        wait_until(lambda: told(lab) >= before + ROUNDS * sum(s in LIARS for s in sources), 20, "some rounds of asking")
        assert believed(box) == floor
        assert problem(box.status()) == ""
        assert box.status()["phase"] == "open"


# -- 53: the clock is wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "found"),
    [(-YEAR, "365 days behind"), (YEAR, "365 days ahead"), (20 * YEAR, "7300 days ahead"), (-3600, "1 hour behind")],
)
def test_fault_53_a_wrong_clock_is_found_out_through_a_transport(lab: Lab, offset: int, found: str) -> None:
    with Box(lab, ["ss", "trojan"], env=shifted(offset)) as box:
        capture = lab.capture([lab.server(name) for name in box.transports])
        took = box.wait(lambda s: found in problem(s), 60, found)
        is_sure(box)
        assert capture.stop().leaks == []
        print(f"{offset:+d} s: known after {took:.1f} s")


def test_fault_53_while_nothing_works_the_sources_are_asked_directly_and_nobody_else(lab: Lab) -> None:
    servers = [lab.server(name) for name in ("ss", "trojan")]
    blocked = [address for s in servers for address in (s.address4, s.address6)]
    allowed = [Allowed(source, "tcp", 443) for source in SOURCES]
    capture = lab.capture([*servers, *allowed])
    with lab.censor(censor.ip_drop(blocked)), Box(lab, ["ss", "trojan"], env=shifted(-YEAR)) as box:
        took = box.wait(lambda s: "365 days behind" in problem(s), 60, "known")
        assert box.status()["phase"] == "blocked"
        is_sure(box)
    verdict = capture.stop()
    assert verdict.leaks == []
    print(f"blocked: known after {took:.1f} s")


def test_a_clock_that_is_right_is_left_alone_and_nobody_is_asked_but_through_a_transport(lab: Lab) -> None:
    capture = lab.capture([lab.server("ss")])
    with Box(lab, ["ss"]) as box:
        box.wait_open("ss")
        is_sure(box)
        assert problem(box.status()) == ""
    assert capture.stop().leaks == []


# -- 54: a hostile source -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [-10 * YEAR, -2 * DAY, 60, 2 * DAY, 20 * YEAR])
def test_fault_54_one_liar_of_three_moves_nothing(lab: Lab, off: int) -> None:
    with Box(lab, ["ss"], sources=[*SOURCES[:2], *liars(lab, off)]) as box:
        is_sure(box)
        assert problem(box.status()) == ""


def test_fault_54_three_that_differ_are_not_believed(lab: Lab) -> None:
    stays_unsure(lab, liars(lab, -DAY, 0, DAY))


def test_fault_54_three_that_replay_an_old_date_stay_behind_the_floor(lab: Lab) -> None:
    stays_unsure(lab, liars(lab, -2 * DAY, -2 * DAY, -2 * DAY), floor=float(int(time.time()) - DAY))


def test_fault_54_three_that_replay_a_date_from_before_the_build_are_not_believed(lab: Lab) -> None:
    off = BUILT - time.time() - DAY
    stays_unsure(lab, liars(lab, off, off, off))


@pytest.mark.parametrize("past", [DAY, 10 * YEAR])
def test_fault_54_three_that_are_beyond_the_builds_life_are_not_believed(lab: Lab, past: int) -> None:
    off = BUILT + LIFE - time.time() + past
    stays_unsure(lab, liars(lab, off, off, off))


def test_fault_54_a_source_with_a_forged_certificate_has_no_vote(lab: Lab) -> None:
    forger = pki.authority(lab.directory, "Someone else", "forger")
    with Box(lab, ["ss"], sources=[*SOURCES[:2], *liars(lab, 0, ca=forger)]) as box:
        box.wait_open("ss")
        time.sleep(5)  # two rounds
        assert believed(box) is None


def test_the_detector_works_a_majority_of_liars_is_believed(lab: Lab) -> None:
    """Within the limits that fault 54 sets, so that the tests above have something to refuse."""
    with Box(lab, ["ss"], sources=liars(lab, DAY, DAY, DAY)) as box:
        box.wait(lambda s: "1 day behind" in problem(s), 20, "believed")
