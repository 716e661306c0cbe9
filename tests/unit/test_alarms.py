"""Signs: what makes a suspect, what proved a false alarm, and what is owed meanwhile."""

import pytest

from routerd import flows
from routerd.alarms import DEAF, ECHO
from routerd.evidence import LEAVE
from routerd.model import Sign, State, Suspected, Tick, Up, WanChanged
from routerd.watchdog import deadline, step
from tests.unit.stories import UP, B, bad, doubt, good, told


@pytest.mark.parametrize("sign", DEAF)
def test_a_sign_and_a_probe_are_enough(sign: Sign) -> None:
    assert told(B, *UP, (2.0, Suspected("a", sign)), (2.5, bad("a"))).active == "b"


@pytest.mark.parametrize("sign", DEAF)
def test_signs_alone_leave_nothing_however_many(sign: Sign) -> None:
    state = told(B, *UP, *((2.0 + i / 10, Suspected("a", sign)) for i in range(100)))
    assert state.active == "a"
    assert 0 < doubt(state) < LEAVE


def test_connections_without_answers_tell_a_suspect_more_than_what_made_it_one() -> None:
    state = told(B, *UP, (2.0, Suspected("a", "stalled")), (2.5, Suspected("a", "mute")), (2.6, Suspected("a", "silent")))
    health = state.health["a"]
    assert isinstance(health, Up)
    assert (health.sign, health.points) == ("mute", LEAVE // 2)


def test_a_probe_that_began_before_the_sign_does_not_clear_it() -> None:
    state = told(B, *UP, (2.0, Suspected("a", "silent")), (2.1, good("a")))
    assert doubt(state) > 0
    assert doubt(step(B, state, good("a", sign="silent"), 2.2)) == 0


def test_a_sign_that_proved_false_is_not_listened_to_for_a_while_and_longer_each_time() -> None:
    state, now, deaf = told(B, *UP), 2.0, []
    for _ in range(3):
        state = told(B, (now, Suspected("a", "silent")), (now, good("a", sign="silent")), state=state)
        since = now
        while not doubt(step(B, state, Suspected("a", "silent"), now)):
            now += 0.5
        deaf.append(now - since)
    first, _ = DEAF["silent"]
    assert deaf == [first, 2 * first, 4 * first]


def test_one_kind_of_false_alarm_deafens_for_no_other() -> None:
    state = told(B, *UP, (2.0, Suspected("a", "stalled")), (2.5, good("a", sign="stalled")))
    assert not doubt(step(B, state, Suspected("a", "stalled"), 3.0))
    assert doubt(step(B, state, Suspected("a", "silent"), 3.0))


def sign(state: State, name: str = "a") -> Sign | None:
    health = state.health[name]
    assert isinstance(health, Up)
    return health.sign if health.points else None


def deafened(times: int) -> tuple[State, float, float]:
    """After so many false alarms in a row: how it stands, since when nothing is listened to, and until when."""
    state, now = told(B, *UP), 10.0
    for _ in range(times):
        state = told(B, (now, Suspected("a", "stalled")), (now + 1.0, good("a", sign="stalled")), state=state)
        health = state.health["a"]
        assert isinstance(health, Up)
        since, now = now + 1.0, health.alarms[-1][2]
    return state, since, now


def test_a_sign_that_shows_but_once_while_a_false_one_is_slept_off_is_listened_to_afterwards() -> None:
    state, since, until = deafened(3)
    state = step(B, state, Suspected("a", "stalled"), since + ECHO)
    assert sign(state) is None
    assert deadline(state, since + ECHO) == until, "the loop is woken for it"
    assert sign(step(B, state, Tick(), until - 0.1)) is None
    assert sign(step(B, state, Tick(), until)) == "stalled"


def test_an_owed_sign_and_a_probe_are_enough_and_a_good_one_ends_it() -> None:
    state, since, until = deafened(3)
    state = told(B, (since + ECHO, Suspected("a", "stalled")), (until, Tick()), state=state)
    assert told(B, (until + 1.0, bad("a", "frozen")), state=state).active == "b"
    calm = told(B, (until + 1.0, good("a", sign="stalled")), (until + 1000.0, Tick()), state=state)
    assert (sign(calm), calm.active) == (None, "a")


def test_what_a_good_probe_has_just_looked_into_is_not_owed_though_it_still_shows() -> None:
    state, since, until = deafened(3)
    state = step(B, state, Suspected("a", "stalled"), since + ECHO - 0.1)
    assert sign(step(B, state, Tick(), until)) is None
    assert flows.FORGOTTEN - flows.QUIET == ECHO


@pytest.mark.parametrize("other", sorted(set(DEAF) - {"stalled"}))
def test_a_sign_that_shows_but_once_while_another_is_looked_into_is_listened_to_when_that_proved_false(other: Sign) -> None:
    state = told(B, *UP, (10.0, Suspected("a", other)), (10.5, Suspected("a", "stalled")))
    assert sign(state) == other
    assert sign(step(B, state, good("a", sign=other), 11.0)) == "stalled"


def test_a_sign_that_shows_but_once_while_a_probe_has_failed_is_listened_to_when_the_next_one_is_good() -> None:
    state = told(B, *UP, (10.0, bad("a")), (10.5, Suspected("a", "stalled")), (11.0, good("a")))
    assert sign(state) == "stalled"


def test_where_connections_without_answers_take_its_place_it_is_looked_into_behind_them() -> None:
    state = told(B, *UP, (10.0, Suspected("a", "stalled")), (10.5, Suspected("a", "mute")))
    assert sign(state) == "mute"
    assert sign(step(B, state, good("a", sign="mute"), 11.0)) == "stalled"


def test_signs_that_show_again_and_again_are_not_owed() -> None:
    state = told(B, *UP, (10.0, Suspected("a", "silent")), (10.5, good("a", sign="silent")), (10.6, Suspected("a", "silent")))
    assert sign(step(B, state, Tick(), 1000.0)) is None


def test_what_is_owed_is_forgotten_with_all_doubts_when_the_line_is_back() -> None:
    state, since, until = deafened(3)
    state = told(B, (since + ECHO, Suspected("a", "stalled")), state=state)
    state = told(B, (since + 7.0, WanChanged(False)), (since + 8.0, WanChanged(True)), (until + 60.0, Tick()), state=state)
    assert sign(state) is None


def test_while_the_line_is_down_nothing_that_is_owed_makes_a_suspect() -> None:
    state, since, until = deafened(3)
    state = told(B, (since + ECHO, Suspected("a", "stalled")), (since + 7.0, WanChanged(False)), state=state)
    assert sign(step(B, state, Tick(), until + 60.0)) is None


def test_however_often_flows_broke_for_nothing_they_are_listened_to_after_two_minutes() -> None:
    _, since, until = deafened(20)
    assert until - since == 120.0
