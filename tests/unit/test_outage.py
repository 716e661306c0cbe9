"""Seconds without service: a definition that flatters nobody."""

import pytest

from bench.failover.outage import INTERVAL, Request, steady, without_service

STRIKE = 10.0


def requests(lost_between: tuple[float, float] = (0, 0), until: float = 20.0, also_lost: float = 0.0) -> list[Request]:
    """One each 50 ms from 9 s on, answered after 10 ms, or lost after 1 s."""
    out = []
    for number in range(round((until - 9) / INTERVAL)):
        began = 9 + number * INTERVAL
        good = not (lost_between[0] <= began < lost_between[1] or abs(began - also_lost) < INTERVAL / 2)
        out.append(Request(began, began + (0.01 if good else 1.0), good, "-" if good else "answer"))
    return out


def test_nothing_lost_is_nothing_without_service() -> None:
    assert without_service(requests(), STRIKE) == pytest.approx(0, abs=0.02)
    assert steady(requests(), STRIKE)


def test_it_lasts_from_the_strike_to_the_first_answer_after_the_last_lost_request() -> None:
    assert without_service(requests((STRIKE, 13)), STRIKE) == pytest.approx(3.01, abs=0.06)


def test_a_service_that_comes_and_goes_counts_as_gone() -> None:
    assert without_service(requests((STRIKE, 11), also_lost=14), STRIKE) == pytest.approx(4.06, abs=0.06)


def test_late_answers_count_though_none_was_lost() -> None:
    late = [Request(r.began, max(r.ended, 10.75 if r.began < 10.75 else 0), True, "-") for r in requests()]
    late = [r for r in late if r.began >= 10]
    assert without_service(late, STRIKE) == pytest.approx(0.70, abs=0.02)


def test_what_did_not_come_back_has_no_seconds_and_is_not_steady() -> None:
    assert without_service(requests((STRIKE, 20)), STRIKE) is None
    assert not steady(requests((STRIKE, 20)), STRIKE)
    assert not steady(requests((STRIKE, 19)), STRIKE)
