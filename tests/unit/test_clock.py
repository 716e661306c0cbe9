"""The date by majority: what a liar can do (nothing), and what the clock is set to."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from routerd.clock import (
    AGREE,
    BUILT,
    LIFE,
    QUORUM,
    TOLERANCE,
    Sample,
    believable,
    correction,
    distance,
    lowest,
    verdict,
)

BOOTED = BUILT + 100 * 86400.0
ANY = st.floats(allow_nan=True, allow_infinity=True)
HONEST = st.floats(BOOTED - 2, BOOTED + 2)


def said(*dates: float) -> list[Sample]:
    return [Sample(f"192.0.2.{i}", date) for i, date in enumerate(dates)]


def test_the_median_of_three() -> None:
    assert verdict(said(BOOTED, BOOTED + 2, BOOTED + 1), BUILT, 10.0) == BOOTED + 1


@pytest.mark.parametrize("count", range(QUORUM))
def test_fewer_than_three_are_no_verdict(count: int) -> None:
    assert verdict(said(*[BOOTED] * count), BUILT, 10.0) is None


def test_a_source_has_one_vote_however_often_it_speaks() -> None:
    assert verdict([Sample("192.0.2.1", BOOTED), *(Sample("192.0.2.2", BOOTED + i) for i in range(5))], BUILT, 10.0) is None


def test_three_that_do_not_agree_are_no_verdict() -> None:
    assert verdict(said(BOOTED, BOOTED + 100, BOOTED + 200), BUILT, 10.0) is None
    assert verdict(said(BOOTED, BOOTED, BOOTED + 200, BOOTED + 200), BUILT, 10.0) is None


def test_all_of_them_replayed_stay_behind_the_floor() -> None:
    floor = BOOTED + 50.0
    assert verdict(said(*[BOOTED] * 5), floor, 49.0) is None
    assert verdict(said(*[BOOTED] * 5), floor, 51.0) == BOOTED


def test_nothing_beyond_ten_years_from_the_build_is_believed() -> None:
    assert verdict(said(*[BUILT + LIFE] * 3), BUILT, -1.0) == BUILT + LIFE
    assert verdict(said(*[BUILT + LIFE] * 3), BUILT, 1.0) is None
    assert datetime.fromtimestamp(BUILT + LIFE, UTC).year == datetime.fromtimestamp(BUILT, UTC).year + 10


@given(honest=st.lists(HONEST, min_size=2, max_size=6), data=st.data())
def test_a_minority_of_liars_never_moves_it(honest: list[float], data: st.DataObject) -> None:
    liars = data.draw(st.lists(ANY, max_size=len(honest) - 1))
    everyone = data.draw(st.permutations(honest + liars))
    found = verdict(said(*everyone), BUILT, 10.0)
    assert found is None or min(honest) <= found <= max(honest)
    if len(honest) >= QUORUM:
        assert found is not None


@given(dates=st.lists(ANY | HONEST, max_size=9), saved=st.none() | ANY, uptime=st.floats(0, 1e9))
def test_whatever_is_said_it_ends_above_the_floor_and_within_the_builds_life(
    dates: list[float], saved: float | None, uptime: float
) -> None:
    floor = lowest(saved)
    assert floor >= BUILT
    found = verdict(said(*dates), floor, uptime)
    if found is not None:
        assert math.isfinite(found)
        assert floor <= found + uptime <= BUILT + LIFE
        assert sum(abs(date - found) <= AGREE for date in dates) * 2 > sum(map(math.isfinite, dates))


@pytest.mark.parametrize("saved", [None, math.nan, math.inf, -1.0, 0.0, BUILT - 1, BUILT + LIFE + 1])
def test_a_floor_that_cannot_be_is_the_builds_date(saved: float | None) -> None:
    assert lowest(saved) == BUILT


def test_the_floor_on_disk_counts() -> None:
    assert lowest(BUILT + 5.0) == BUILT + 5.0
    assert not believable(BUILT + 4.0, lowest(BUILT + 5.0))


@given(shown=st.floats(0, 1e10), right=st.floats(0, 1e10))
def test_a_clock_is_set_to_the_right_time_or_left_alone(shown: float, right: float) -> None:
    by = correction(shown, right)
    assert by == right - shown if abs(right - shown) > TOLERANCE else by == 0.0


@pytest.mark.parametrize(
    ("by", "words"),
    [(6, "6 seconds behind"), (-3600, "1 hour ahead"), (86400 * 365, "365 days behind"), (-61, "1 minute ahead"), (3599.5, "1 hour behind")],
)
def test_a_distance_in_words(by: float, words: str) -> None:
    assert distance(by) == words
