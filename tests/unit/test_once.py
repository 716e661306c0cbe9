"""What a probe that waits makes of what the kernel counts meanwhile."""

from collections.abc import Iterable

from routerd.model import Finding, Sample
from routerd.probe.once import STEP, TRIED, Meanwhile
from routerd.signals import HELD

LOOKS = int(HELD / STEP) + 2


def found(samples: Iterable[Sample]) -> Finding | None:
    """After these looks, one each STEP."""
    meanwhile, now = Meanwhile(Sample()), 100.0
    for sample in samples:
        now += STEP
        meanwhile.look(sample, now)
    return meanwhile.unheard(now)


def test_an_engine_that_takes_no_connection_for_a_while_is_hung() -> None:
    assert found([Sample(backlog=1)] * 2 + [Sample(backlog=3)] * LOOKS) == "hung"


def test_a_connection_that_waits_at_this_moment_says_nothing() -> None:
    assert found([Sample()] * LOOKS + [Sample(backlog=3)]) is None


def test_a_busy_box_that_takes_them_late_is_not_hung() -> None:
    assert found([Sample(backlog=4), Sample(backlog=2)] * LOOKS) is None


def test_packets_out_and_none_back_are_silence_when_there_were_enough() -> None:
    assert found([Sample(out=TRIED)]) == "silent"
    assert found([Sample(out=TRIED - 1)]) is None
    assert found([Sample(out=TRIED, back=1)]) is None


def test_a_reset_is_a_refusal_though_something_came_back() -> None:
    assert found([Sample(out=TRIED, back=2, resets=1)]) == "refused"


def test_what_goes_in_and_does_not_come_out_is_a_hung_engine_not_a_silent_server() -> None:
    assert found([Sample(entered=TRIED)]) == "hung"
    assert found([Sample(entered=TRIED, back=9)]) == "hung"
    assert found([Sample(entered=TRIED, out=1)]) == "silent"
