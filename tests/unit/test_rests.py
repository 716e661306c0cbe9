"""How long what failed rests: as the outage is young, without a rhythm, and no more often than a censor may see."""

from itertools import pairwise

import pytest

from routerd.model import PATIENCE, Down, Exited, Finding, Starting, Tick, Wished
from routerd.rests import BRIEFEST, FIRST_REST, LONGEST_REST, QUIET, REST, YOUNG
from routerd.watchdog import deadline, step
from tests.unit.stories import START, UP, A, B, bad, good, told


def test_while_nothing_is_up_rests_are_as_short_as_the_outage_is_young() -> None:
    state = told(A, START, (1.0, good("a")), (2.0, bad("a")), (2.1, bad("a")))
    health = state.health["a"]
    assert isinstance(health, Down)
    assert 0.7 * BRIEFEST <= health.until - 2.1 <= 1.3 * BRIEFEST


def test_in_the_first_minute_of_an_outage_rests_have_no_rhythm_either() -> None:
    state, now, rests = told(A, START, (1.0, good("a")), (2.0, bad("a")), (2.1, bad("a"))), 2.1, []
    while now < YOUNG:
        due = deadline(state, now)
        assert due is not None
        state, now = step(A, state, Tick(), due), due
        rests += [h.until - now for h in state.health.values() if isinstance(h, Down)]
    assert len({round(rest, 1) for rest in rests}) >= len(rests) - 1 > 2


def test_in_an_hour_without_any_way_out_nothing_rests_for_half_a_minute_or_in_a_rhythm() -> None:
    state, now, rests = told(B, *UP, (2.0, bad("a")), (2.1, bad("a")), (2.2, bad("b")), (2.3, bad("b"))), 2.3, []
    while now < 3600.0:
        due = deadline(state, now)
        assert due is not None
        state, now = step(B, state, Tick(), due), due
        rests += [h.until - now for h in state.health.values() if isinstance(h, Down)]
    assert len(rests) > 100
    assert max(rests) < 29.0
    assert len({round(rest) for rest in rests if rest > 12.0}) > 5


@pytest.mark.parametrize("finding", ["refused", "silent", "forged", "frozen"])
def test_a_blocked_one_is_knocked_at_no_more_than_once_a_minute_while_another_carries(finding: Finding) -> None:
    state, now, tries = told(B, *UP, (2.0, bad("a", finding)), (2.1, bad("a", finding))), 2.1, []
    while now < 400.0:
        now += 0.1
        state = step(B, state, Tick(), now)
        if isinstance(state.health["a"], Starting):
            tries.append(now)
            state = step(B, state, bad("a", finding), now + 0.05)
            assert isinstance(state.health["a"], Down), "one look must do"
    pauses = [b - a for a, b in pairwise(tries)]
    assert len(tries) >= 4
    assert min([tries[0] - 2.1, *pauses]) >= QUIET
    assert len({round(pause, 1) for pause in pauses}) > 1, "no rhythm"


def test_when_the_last_one_goes_those_that_rest_are_tried_at_once() -> None:
    state = told(B, *UP, (2.0, bad("a")), (2.1, bad("a")), (9.0, Exited("b", "x")), (9.0 + BRIEFEST, Tick()))
    assert isinstance(state.health["a"], Starting)


def test_what_the_owner_asks_for_is_tried_at_once() -> None:
    state = told(B, *UP, (2.0, bad("a")), (2.1, bad("a")), (9.0, Wished("a")))
    assert isinstance(state.health["a"], Starting)
    for at in (10.0, 12.0):
        state = step(B, state, bad("a"), at)
    assert isinstance(state.health["a"], Starting), "while the household waits for it, it is given time"


def test_nothing_waits_for_a_clock_that_was_set_back() -> None:
    state = told(B, *((1e6 + at, event) for at, event in UP), (1e6 + 2.0, bad("a")), (1e6 + 2.1, bad("a")))
    state = told(B, (5.0, Tick()), (5.0 + REST, Tick()), state=state)
    assert isinstance(state.health["a"], Starting)
    state = told(B, (6.0 + REST, bad("b")), (6.1 + REST, bad("b")), state=state)
    assert isinstance(state.health["b"], Down)


def test_a_rested_transport_is_started_again_and_remembers_its_failures() -> None:
    state = told(A, START, (1.0, Exited("a", "x")), (1.0 + FIRST_REST, Tick()))
    assert state.health["a"] == Starting(1.0 + FIRST_REST, failures=1)


def test_a_rest_doubles_with_each_failure_and_has_an_end() -> None:
    state, now, rests = told(A, START), 0.0, []
    for _ in range(8):
        state = step(A, state, Exited("a", "x"), now)
        health = state.health["a"]
        assert isinstance(health, Down)
        rests.append(health.until - now)
        now = health.until
        state = step(A, state, Tick(), now)
    assert rests[:4] == [FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST, 8 * FIRST_REST]
    assert rests[-1] == LONGEST_REST


def test_a_flapping_transport_rests_longer_each_time() -> None:
    first = told(A, START, (1.0, good("a")), (2.0, Exited("a", "x")), (4.0, Tick()), (4.5, good("a")))
    again = step(A, first, Exited("a", "x"), 5.0).health["a"]
    assert again == Down(5.0 + 2 * FIRST_REST, 2, "x")


def test_the_loop_is_woken_when_a_rest_ends_or_patience_does() -> None:
    state = told(A, START)
    assert deadline(state, 0.0) == PATIENCE
    assert deadline(step(A, state, Exited("a", "x"), 1.0), 1.0) == 1.0 + FIRST_REST
