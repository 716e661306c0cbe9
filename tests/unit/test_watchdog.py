"""What an event changes and what it does not; then any story at all."""

import os
from concurrent.futures import ProcessPoolExecutor
from ipaddress import ip_address

from hypothesis import given
from hypothesis import settings as hypothesis_settings

from routerd.model import (
    Configured,
    Dated,
    Diagnosing,
    Doubted,
    Down,
    Drifted,
    Event,
    Exited,
    Misapplied,
    Resolved,
    Starting,
    State,
    Tick,
    Up,
    WanChanged,
    Wished,
)
from routerd.rests import REST
from routerd.settings import Settings
from routerd.watchdog import deadline, step
from tests.unit.lives import any_life, households, live, stories
from tests.unit.stories import START, UP, A, B, bad, good, household, told

EXAMPLES = int(os.environ.get("EXAMPLES", "2000"))


def test_a_transport_that_leaves_the_settings_leaves_the_state() -> None:
    state = told(B, START, (1.0, good("a")), (1.1, good("b")), (1.2, Wished("a")))
    after = step(household("b"), state, Configured(), 2.0)
    assert (set(after.health), set(after.slots), after.active, after.wish) == ({"b"}, {"b"}, "b", None)


def test_a_transport_keeps_its_slot_when_others_come_and_go() -> None:
    state = told(B, START)
    after = step(household("c", "b"), state, Configured(), 1.0)
    assert after.slots["b"] == state.slots["b"]
    assert len(set(after.slots.values())) == 2


def test_a_new_transport_in_the_settings_is_started() -> None:
    assert "b" in step(B, told(A, START), Configured(), 1.0).health


def test_an_address_once_known_is_not_lost_to_an_empty_answer() -> None:
    address = ip_address("192.0.2.7")
    state = told(A, START, (1.0, Resolved("a.example", (address,))), (2.0, Resolved("a.example", ())))
    assert state.addresses == {"a.example": (address,)}


def test_a_fault_is_shown_until_it_is_mended() -> None:
    state = told(A, START, (1.0, Misapplied("ruleset", "no")))
    assert state.faults == {"ruleset": "no"}
    assert step(A, state, Misapplied("ruleset", ""), 2.0).faults == {}


def test_what_is_heard_of_strangers_changes_nothing() -> None:
    state = told(A, START)
    assert told(A, (1.0, good("x")), (1.0, bad("x")), (1.0, Exited("x", "y")), (1.0, Drifted("z")), state=state) == state


def test_what_is_known_of_a_name_is_forgotten_when_another_transport_has_it() -> None:
    state = told(B, *UP, (2.0, Configured(frozenset({"a"}))))
    assert (state.active, state.health["a"]) == ("b", Starting(2.0))


def test_a_date_ends_the_doubt() -> None:
    doubted = told(A, START, (1.0, Doubted()))
    assert doubted.doubted
    dated = told(A, (2.0, Dated(1.8e9)), state=doubted)
    assert (dated.booted, dated.doubted) == (1.8e9, False)


@hypothesis_settings(max_examples=EXAMPLES // 20, deadline=None)
@given(households, stories)
def test_after_any_story_the_state_makes_sense(
    settings: Settings, story: list[tuple[float, Event, Settings | None]]
) -> None:
    live(settings, story)


def test_a_diagnosis_ends_by_itself_when_nobody_ends_it() -> None:
    state = told(household("a"), (0.0, Configured()), (1.0, Diagnosing(31.0)))
    assert state.diagnosing_until == 31.0
    assert deadline(state, 30.0) == 31.0
    assert told(household("a"), (31.0, Tick()), state=state).diagnosing_until is None


def test_a_diagnosis_ends_when_it_is_over() -> None:
    state = told(household("a"), (0.0, Configured()), (1.0, Diagnosing(31.0)), (5.0, Diagnosing(None)))
    assert state.diagnosing_until is None


def lives(seeds: range) -> int:
    for seed in seeds:
        any_life(seed)
    return len(seeds)


def test_thousands_of_lives_make_sense_at_every_step() -> None:
    """`make test` has a hundred thousand of them: that takes every core."""
    chunks = [range(first, min(first + 500, EXAMPLES)) for first in range(0, EXAMPLES, 500)]
    with ProcessPoolExecutor() as pool:
        assert sum(pool.map(lives, chunks)) == EXAMPLES


@hypothesis_settings(max_examples=EXAMPLES // 40, deadline=None)
@given(households, stories)
def test_after_any_story_a_transport_that_works_again_carries_the_household(
    settings: Settings, story: list[tuple[float, Event, Settings | None]]
) -> None:
    state, now = step(settings, State(), Configured(), 0.0), 0.0
    for pause, event, _ in story:
        now += pause
        state = step(settings, state, event, now)
    state = told(settings, (now, WanChanged(True)), (now, Wished(None)), state=state)
    for _ in range(int(REST) + 4):  # the longest rest, and a little
        now += 1.0
        state = step(settings, state, Tick(), now)
        for each in [n for n, h in state.health.items() if not isinstance(h, Down)]:
            state = step(settings, state, good(each), now)
    assert (state.active is None) == (not settings.enabled)
    if settings.enabled:
        first = settings.enabled[0]
        rung = [e.name for e in settings.enabled if e.name == first.name or (e.group and e.group == first.group)]
        assert any(isinstance(state.health.get(name), Up) for name in rung)


@hypothesis_settings(max_examples=EXAMPLES // 40, deadline=None)
@given(households, stories)
def test_the_same_story_told_twice_ends_the_same(
    settings: Settings, story: list[tuple[float, Event, Settings | None]]
) -> None:
    once, twice, now = State(), State(), 0.0
    for pause, event, _ in story:
        now += pause
        once, twice = step(settings, once, event, now), step(settings, twice, event, now)
        assert once == twice
