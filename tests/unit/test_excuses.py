"""Nobody is punished for the line, for the clock, or for what it travels inside."""

from dataclasses import replace

from routerd.evidence import LEAVE
from routerd.excuses import SETTLED
from routerd.model import PATIENCE, ClockSet, Down, Exited, Starting, Tick, WanChanged, Wished
from tests.unit.stories import START, UP, A, B, C, bad, chained, doubt, good, told


def test_when_the_line_is_back_everything_is_tried_at_once_and_doubts_are_forgotten() -> None:
    state = told(B, *UP, (2.0, Exited("a", "x")), (2.1, bad("b")), (2.2, WanChanged(False)), (70.0, WanChanged(True)))
    assert isinstance(state.health["a"], Starting)
    assert (state.active, doubt(state, "b")) == ("b", 0)
    after = told(B, (71.0, bad("b")), (71.1, bad("b")), state=state)
    assert after.active == "b"
    late = 70.0 + SETTLED
    assert told(B, (late, bad("b")), (late + 0.1, bad("b")), state=after).active is None


def test_nobody_is_punished_while_the_line_is_down() -> None:
    state = told(B, START, (1.0, good("a")), (1.1, good("b")), (2.0, WanChanged(False)))
    after = told(B, *((3.0 + i, bad(name)) for i in range(20) for name in "ab"), state=state)
    assert after.health == state.health
    assert after.active == "a"


def test_patience_does_not_end_while_the_line_is_down() -> None:
    state = told(A, START, (1.0, WanChanged(False)), (PATIENCE * 3, Tick()))
    assert isinstance(state.health["a"], Starting)


def test_one_that_was_starting_when_the_line_went_has_all_its_patience_when_it_is_back() -> None:
    state = told(A, START, (1.0, WanChanged(False)), (PATIENCE * 3, WanChanged(True)), (PATIENCE * 4 - 0.1, Tick()))
    assert state.health["a"] == Starting(PATIENCE * 3)
    assert isinstance(told(A, (PATIENCE * 4, Tick()), state=state).health["a"], Down)


def test_once_the_clock_is_set_what_had_failed_is_tried_as_for_the_first_time_and_what_works_is_left_alone() -> None:
    before = told(C, START, (1.0, good("a")), (1.1, Exited("b", "expired")), (1.2, Exited("b", "expired")))
    assert isinstance(before.health["b"], Down)
    after = told(C, (1.3, ClockSet(86400.0)), state=before)
    assert after.active == "a"
    assert after.health["a"] == before.health["a"]
    assert after.health["b"] == after.health["c"] == Starting(1.3)


INNER = chained("in", "out", "spare", **{"in": "out"})
BOTH_UP = (START, (1.0, good("out")), (1.1, good("spare")), (1.2, good("in")))


def test_what_travels_inside_another_is_not_tried_before_that_one_is_up() -> None:
    state = told(INNER, START)
    assert set(state.health) == {"out", "spare"}
    state = told(INNER, (1.0, good("out")), state=state)
    assert state.health["in"] == Starting(1.0)
    assert told(INNER, (1.1, good("in")), state=state).active == "in"


def test_it_goes_with_the_outer_one_unblamed_and_comes_back_with_it() -> None:
    state = told(INNER, *BOTH_UP, (20.0, Exited("out", "killed")))
    assert (state.active, "in" in state.health, dict(state.errors)) == ("spare", False, {"out": "killed"})
    state = told(INNER, (23.0, Tick()), (23.1, good("out")), state=state)
    assert state.health["in"] == Starting(23.1)


def test_what_fails_in_it_convicts_it_only_while_the_outer_one_has_just_shown_itself_well() -> None:
    doubted = told(INNER, *BOTH_UP, (20.0, bad("in")), (21.0, bad("in")), (22.0, bad("in")))
    assert doubt(doubted, "in") == LEAVE - 1
    assert isinstance(told(INNER, (22.5, good("out")), (23.0, bad("in")), state=doubted).health["in"], Down)
    outer_fails = told(INNER, (22.5, bad("out")), (23.0, bad("in")), (23.5, bad("out")), state=doubted)
    assert isinstance(outer_fails.health["out"], Down)
    assert (outer_fails.active, "in" in outer_fails.health) == ("spare", False)


def test_one_that_has_never_carried_anything_is_not_given_up_while_the_outer_one_is_in_doubt() -> None:
    state = told(INNER, START, (1.0, good("out")), (1.0 + PATIENCE, bad("out")), (1.1 + PATIENCE, Tick()))
    assert isinstance(state.health["in"], Starting)
    assert isinstance(told(INNER, (1.2 + PATIENCE, good("out")), state=state).health["in"], Down)


def test_an_inner_one_that_had_failed_is_tried_at_once_when_the_outer_one_is_back() -> None:
    state = told(INNER, *BOTH_UP, (20.0, Exited("in", "ended")), (20.1, Exited("out", "killed")))
    assert isinstance(state.health["in"], Down)
    state = told(INNER, (23.0, Tick()), (23.1, good("out")), state=state)
    assert state.health["in"] == Starting(23.1, failures=1)


def test_the_outer_one_runs_as_long_as_the_inner_one_is_wanted() -> None:
    settings = replace(chained("in", "spare", "out", **{"in": "out"}), standby=0)
    state = told(settings, START, (0.1, good("out")), (0.2, good("in")))
    assert (state.active, set(state.health)) == ("in", {"in", "out"})


def test_the_owners_choice_of_an_inner_one_starts_the_outer_one_first() -> None:
    settings = replace(chained("spare", "in", "out", **{"in": "out"}), standby=0)
    state = told(settings, START, (0.1, good("spare")), (1.0, Wished("in")))
    assert isinstance(state.health["out"], Starting)
    assert "in" not in state.health
    state = told(settings, (2.0, good("out")), (2.1, good("in")), state=state)
    assert state.active == "in"


def test_without_the_outer_one_the_inner_one_is_never_tried() -> None:
    off = replace(INNER, transports={**INNER.transports, "out": replace(INNER.transports["out"], enabled=False)})
    assert set(told(off, START, (1.0, good("spare"))).health) == {"spare"}
