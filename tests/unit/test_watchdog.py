"""Stories: what happened, second by second, and where it left us. Then any story at all."""

import os
import random
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Interface, ip_address
from itertools import pairwise
from types import MappingProxyType
from typing import get_args

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from routerd import flows
from routerd.links import parse
from routerd.model import (
    Progressed,
    LAST_SLOT,
    SHARED_SLOTS,
    Carried,
    ClockSet,
    Configured,
    Dated,
    Diagnosing,
    Direct,
    Doubted,
    Down,
    Drifted,
    Event,
    Exited,
    Finding,
    Leased,
    Misapplied,
    Probed,
    Refuse,
    Resolved,
    Sign,
    Starting,
    State,
    Suspected,
    Tick,
    Up,
    WanChanged,
    Wished,
)
from routerd.search import AGAIN, CALMLY, HASTE, SAMPLE
from routerd.settings import Entry, Settings, Subscription
from routerd.ladder import FRESH, HOLD_DOWN, MOST, carries
from routerd.plan import choice
from routerd.transports import SLOW
from routerd.transports.tor import Tor
from routerd.watchdog import (
    BRIEFEST,
    DEAF,
    ECHO,
    FIRST_REST,
    LEAVE,
    LONGEST_REST,
    PATIENCE,
    QUIET,
    REST,
    SETTLED,
    TABLE,
    WORDS,
    YOUNG,
    Row,
    deadline,
    deaf_until,
    steady,
    step,
)

EXAMPLES = int(os.environ.get("EXAMPLES", "2000"))
TROJAN = parse("trojan://x@192.0.2.1:443?sni=a.example").transport


def household(*names: str, disabled: Iterable[str] = (), **more: object) -> Settings:
    entries = {name: Entry(name, TROJAN, name not in tuple(disabled)) for name in names}
    base = Settings("eth0", "br-lan", IPv4Interface("192.168.77.1/24"), transports=MappingProxyType(entries))
    return replace(base, **more)  # type: ignore[arg-type]


def subscribed(settings: Settings, *nodes: str, keep: int = 1, group: str = "sub") -> Settings:
    """With a subscription of these nodes behind its transports."""
    entries = {f"{group}/{node}": Entry(f"{group}/{node}", TROJAN, group=group) for node in nodes}
    subscription = Subscription(group, "https://panel.example/", keep=keep)
    return replace(
        settings,
        transports=MappingProxyType({**settings.transports, **entries}),
        subscriptions=MappingProxyType({**settings.subscriptions, group: subscription}),
    )


def told(settings: Settings, *story: tuple[float, Event], state: State | None = None) -> State:
    state = state or State()
    for now, event in story:
        state = step(settings, state, event, now)
    return state


def good(name: str, latency: float = 50.0, sign: Sign | None = None, rate: float | None = None) -> Probed:
    return Probed(name, latency, sign=sign, rate=rate)


def bad(name: str, finding: Finding = "silent") -> Probed:
    return Probed(name, None, "timed out", finding)


START = (0.0, Configured())
A, B, C = household("a"), household("a", "b"), household("a", "b", "c")


def chained(*names: str, **via: str) -> Settings:
    """As `household`, and each of `via` travels inside the one that it names."""
    plain = household(*names)
    return replace(plain, transports={n: replace(e, via=via.get(n, "")) for n, e in plain.transports.items()})


# -- stories ------------------------------------------------------------------------------------------------------


def test_nothing_is_active_before_a_probe_came_through() -> None:
    state = told(B, START, (1.0, Tick()))
    assert state.active is None
    assert state.health == {"a": Starting(0.0), "b": Starting(0.0)}


def test_the_first_one_that_carries_a_probe_carries_new_flows() -> None:
    state = told(B, START, (1.0, good("b")))
    assert (state.active, state.since) == ("b", 1.0)


def test_an_earlier_one_that_never_failed_is_taken_as_soon_as_it_is_up() -> None:
    assert told(B, START, (1.0, good("b")), (2.0, good("a"))).active == "a"


UP = (START, (1.0, good("a")), (1.1, good("b")))


def doubt(state: State, name: str = "a") -> int:
    health = state.health[name]
    assert isinstance(health, Up)
    return health.points


def test_one_lost_probe_makes_a_suspect_and_leaves_nothing() -> None:
    state = told(B, *UP, (2.0, bad("a")))
    assert state.active == "a"
    assert 0 < doubt(state) < LEAVE


def test_a_good_probe_forgives() -> None:
    state = told(A, START, (1.0, good("a")), (2.0, bad("a")), (3.0, good("a")), (4.0, bad("a")))
    assert state.active == "a"
    assert doubt(state) == doubt(told(A, START, (1.0, good("a")), (4.0, bad("a"))))


@pytest.mark.parametrize("finding", ["refused", "silent", "hung", "forged", "frozen"])
def test_two_probes_with_the_same_finding_leave_it_for_the_warm_standby(finding: Finding) -> None:
    state = told(B, *UP, (2.0, bad("a", finding)), (2.1, bad("a", finding)))
    assert state.active == "b"
    assert isinstance(state.health["a"], Down)
    assert state.errors["a"] == "timed out"


@pytest.mark.parametrize("sign", DEAF)
def test_a_sign_and_a_probe_are_enough(sign: Sign) -> None:
    assert told(B, *UP, (2.0, Suspected("a", sign)), (2.5, bad("a"))).active == "b"


@pytest.mark.parametrize("sign", DEAF)
def test_signs_alone_leave_nothing_however_many(sign: Sign) -> None:
    state = told(B, *UP, *((2.0 + i / 10, Suspected("a", sign)) for i in range(100)))
    assert state.active == "a"
    assert 0 < doubt(state) < LEAVE


def test_a_probe_that_failed_although_its_server_was_heard_weighs_half() -> None:
    slow = [(2.0 + i, bad("a", "slow")) for i in range(4)]
    assert told(B, *UP, *slow[:3]).active == "a"
    assert told(B, *UP, *slow).active == "b"


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


def test_a_standby_that_was_just_seen_well_is_taken_before_one_that_was_well_a_while_ago() -> None:
    up = told(C, START, (1.0, good("a")), (1.1, good("b")), (1.2, good("c")))
    assert told(C, (50.0, bad("a")), (50.0 + FRESH, good("c")), (50.1 + FRESH, bad("a")), state=up).active == "c"


def test_a_transport_that_lost_udp_goes_on_and_says_so() -> None:
    once = told(B, *UP, (2.0, Carried("a", "udp", False)))
    assert carries(once.health["a"], "udp")
    twice = step(B, once, Carried("a", "udp", False), 3.0)
    assert (twice.active, carries(twice.health["a"], "udp"), carries(twice.health["a"], "ipv6")) == ("a", False, True)
    assert carries(step(B, twice, Carried("a", "udp", True), 4.0).health["a"], "udp")


def test_while_tcp_is_doubted_udp_is_not_judged() -> None:
    state = told(B, *UP, (2.0, bad("a")), (2.1, Carried("a", "udp", False)), (2.2, Carried("a", "udp", False)))
    assert carries(state.health["a"], "udp")


def test_when_the_line_is_back_everything_is_tried_at_once_and_doubts_are_forgotten() -> None:
    state = told(B, *UP, (2.0, Exited("a", "x")), (2.1, bad("b")), (2.2, WanChanged(False)), (70.0, WanChanged(True)))
    assert isinstance(state.health["a"], Starting)
    assert (state.active, doubt(state, "b")) == ("b", 0)
    after = told(B, (71.0, bad("b")), (71.1, bad("b")), state=state)
    assert after.active == "b"
    late = 70.0 + SETTLED
    assert told(B, (late, bad("b")), (late + 0.1, bad("b")), state=after).active is None


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


def test_a_retried_one_gets_more_than_one_look_where_its_server_or_its_engine_is_just_slow() -> None:
    state = told(B, *UP, (2.0, bad("a")), (2.1, bad("a")), (2.1 + REST, Tick()))
    for finding in ("slow", "hung"):
        state = step(B, state, bad("a", finding), 2.2 + REST)
    assert isinstance(state.health["a"], Starting)
    assert isinstance(step(B, state, good("a"), 2.3 + REST).health["a"], Up)


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


def test_what_carried_the_household_before_the_restart_is_started_first() -> None:
    state = told(household("a", "b", "c", standby=0), START, state=State(carried=("c", "b")))
    assert set(state.health) == {"c", "a"}  # a: the retry of what is listed first


RESTED = 2.1 + REST
BEFORE = {
    "Starting": (START, (1.0, good("b"))),
    "Retried": (*UP, (2.0, bad("a")), (2.1, bad("a")), (RESTED, Tick())),
    "Up": UP,
    "Down": (*UP, (2.0, bad("a")), (2.1, bad("a"))),
}


def evidence_of(word: str) -> tuple[float, Event]:
    """The same at any time, but that patience and rests end late."""
    match word:
        case "carried":
            return RESTED + 1.0, good("a")
        case "ended":
            return RESTED + 1.0, Exited("a", "x")
        case "patience" | "rested":
            return RESTED + PATIENCE, Tick()
        case "sign":
            return RESTED + 1.0, Suspected("a", "silent")
    (finding,) = (one for one in get_args(Finding) if one == word)
    return RESTED + 1.0, bad("a", finding)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.here} {row.evidence}")
def test_what_the_table_says_is_what_happens(row: Row) -> None:
    before = told(B, *BEFORE[row.here])
    if row.evidence == "patience" and row.here == "Starting":
        before = told(B, START)
    assert type(before.health["a"]).__name__ == row.here.replace("Retried", "Starting")
    after = step(B, before, *reversed(evidence_of(row.evidence)))  # type: ignore[arg-type]
    assert type(after.health["a"]).__name__ == (row.to or "Up")
    if row.points:
        assert doubt(after) == row.points


def test_every_row_of_the_table_has_its_words() -> None:
    assert {row.evidence for row in TABLE} == set(WORDS)
    assert len({(row.here, row.evidence) for row in TABLE}) == len(TABLE)


def test_a_child_that_ends_is_left_at_once() -> None:
    state = told(B, START, (1.0, good("a")), (1.1, good("b")), (2.0, Exited("a", "ended with status 1")))
    assert state.active == "b"
    assert state.errors == {"a": "ended with status 1"}


def test_with_nothing_left_nothing_is_active() -> None:
    assert told(A, START, (1.0, good("a")), (2.0, Exited("a", "x"))).active is None


def test_a_transport_that_carries_nothing_within_patience_rests() -> None:
    assert isinstance(told(A, START, (PATIENCE - 0.1, Tick())).health["a"], Starting)
    assert isinstance(told(A, START, (PATIENCE, Tick())).health["a"], Down)


def test_a_kind_that_starts_slowly_is_given_its_time_and_says_how_far_it_is() -> None:
    slow = replace(A, transports={"a": Entry("a", Tor())})
    state = told(slow, START, (PATIENCE, Tick()), (20.0, Progressed("a", 45)))
    assert isinstance(state.health["a"], Starting)
    assert "45 %" in state.errors["a"]
    late = told(slow, START, (PATIENCE, Tick()), (20.0, Progressed("a", 45)), (SLOW["tor"], Tick()))
    assert isinstance(late.health["a"], Down)
    assert "45 %" in late.health["a"].error


def test_a_kind_that_starts_slowly_is_not_given_up_at_one_look_while_another_serves() -> None:
    slow = replace(B, transports={"a": Entry("a", Tor()), "b": B.transports["b"]})
    began = told(slow, START, (1.0, good("b")), (2.0, Exited("a", "x")), (4.0, Tick()))
    assert began.health["a"] == Starting(4.0, failures=1, patience=SLOW["tor"])
    assert step(slow, began, bad("a"), 5.0).health["a"] == began.health["a"]


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


def test_one_that_had_failed_is_taken_back_only_after_the_hold_down() -> None:
    failed = told(B, START, (1.0, good("a")), (1.1, good("b")), (2.0, Exited("a", "x")), (2.0 + FIRST_REST, Tick()))
    back = step(B, failed, good("a"), 5.0)
    assert back.active == "b"
    assert step(B, back, Tick(), 5.0 + HOLD_DOWN - 0.1).active == "b"
    assert step(B, back, Tick(), 5.0 + HOLD_DOWN).active == "a"


def test_a_flapping_transport_rests_longer_each_time() -> None:
    first = told(A, START, (1.0, good("a")), (2.0, Exited("a", "x")), (4.0, Tick()), (4.5, good("a")))
    again = step(A, first, Exited("a", "x"), 5.0).health["a"]
    assert again == Down(5.0 + 2 * FIRST_REST, 2, "x")


def test_nobody_is_punished_while_the_line_is_down() -> None:
    state = told(B, START, (1.0, good("a")), (1.1, good("b")), (2.0, WanChanged(False)))
    after = told(B, *((3.0 + i, bad(name)) for i in range(20) for name in "ab"), state=state)
    assert after.health == state.health
    assert after.active == "a"


def test_patience_does_not_end_while_the_line_is_down() -> None:
    state = told(A, START, (1.0, WanChanged(False)), (PATIENCE * 3, Tick()))
    assert isinstance(state.health["a"], Starting)


def test_the_owners_wish_is_followed() -> None:
    assert told(B, START, (1.0, good("a")), (1.1, good("b")), (2.0, Wished("b"))).active == "b"


def test_a_wish_that_is_down_is_not_replaced_by_another() -> None:
    state = told(B, START, (1.0, good("a")), (1.1, good("b")), (2.0, Wished("b")), (3.0, Exited("b", "x")))
    assert (state.active, state.wish) == (None, "b")


def test_a_wish_for_what_there_is_not_is_forgotten() -> None:
    state = told(A, START, (1.0, good("a")), (2.0, Wished("nobody")))
    assert (state.active, state.wish) == ("a", None)


def test_automatic_again_takes_the_first_that_is_up() -> None:
    story = (START, (1.0, good("a")), (1.1, good("b")), (2.0, Wished("b")), (3.0, Wished(None)))
    assert told(B, *story).active == "a"


def test_only_the_active_one_and_its_standbys_are_kept_warm() -> None:
    assert set(told(household("a", "b", "c", "d", "e", standby=1), START).health) == {"a", "b"}


def test_a_standby_that_fails_is_followed_by_the_next_in_the_list() -> None:
    state = told(household("a", "b", "c", standby=1), START, (1.0, good("a")), (2.0, Exited("b", "x")))
    assert isinstance(state.health["c"], Starting)


def test_a_disabled_transport_is_never_started() -> None:
    state = told(household("a", "b", disabled=["a"]), START, (1.0, good("a")), (1.0, good("b")))
    assert set(state.health) == {"b"}
    assert state.active == "b"


def test_the_fastest_is_taken_only_when_clearly_faster_and_proven() -> None:
    settings = household("a", "b", order="fastest")
    state = told(settings, START, (1.0, good("a", 1000.0)), (1.1, good("b", 300.0)))
    assert state.active == "a"
    assert step(settings, state, Tick(), 1.1 + HOLD_DOWN).active == "b"
    close = told(settings, START, (1.0, good("a", 1000.0)), (1.1, good("b", 800.0)), (1.1 + HOLD_DOWN, Tick()))
    assert close.active == "a"


def test_the_fastest_is_judged_by_throughput_too() -> None:
    settings = household("a", "b", order="fastest")
    story = (START, (1.0, good("a", 40.0, rate=30_000.0)), (1.1, good("b", 90.0, rate=2_000_000.0)))
    assert told(settings, *story, (1.1 + HOLD_DOWN, Tick())).active == "b"


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


def test_the_loop_is_woken_when_a_rest_ends_or_patience_does() -> None:
    state = told(A, START)
    assert deadline(state, 0.0) == PATIENCE
    assert deadline(step(A, state, Exited("a", "x"), 1.0), 1.0) == 1.0 + FIRST_REST


# -- subscriptions ------------------------------------------------------------------------------------------------

NODES = [str(number) for number in range(1, 41)]
MANY = subscribed(household(), *NODES)


def tried_now(state: State) -> list[str]:
    return [name for name, health in state.health.items() if isinstance(health, Starting)]


def searched(settings: Settings, works: Callable[[str], float | None], state: State | None = None, now: float = 0.0) -> tuple[State, int]:
    """A second at a time: who is tried is up with that latency, or silent. The state at the end, and how many were."""
    state, count = step(settings, state or State(), Configured(), now), 0
    for _ in range(60):
        for each in tried_now(state):
            count += 1
            found = works(each)
            state = step(settings, state, bad(each) if found is None else good(each, found), now)
        now += 1.0
        state = step(settings, state, Tick(), now)
    return state, count


def test_of_a_subscription_a_few_nodes_are_tried_at_once_and_the_rest_cost_nothing() -> None:
    assert tried_now(told(MANY, (10.0, Configured()))) == [f"sub/{number}" for number in NODES[:HASTE]]


def test_one_look_at_a_node_must_do_for_there_are_others() -> None:
    state = told(MANY, (10.0, Configured()), (11.0, bad("sub/1")))
    assert isinstance(state.health["sub/1"], Down)
    assert tried_now(state) == [f"sub/{number}" for number in NODES[1 : HASTE + 1]]


def test_the_search_ends_when_enough_work_and_the_quickest_are_kept() -> None:
    settings = subscribed(household(), *NODES, keep=2)
    state, count = searched(settings, lambda name: None if int(name[4:]) % 3 else 100.0 - int(name[4:]))
    ups = {name for name, health in state.health.items() if isinstance(health, Up)}
    assert len(state.measured) in range(2 * SAMPLE, 2 * SAMPLE + CALMLY)
    assert ups >= set(sorted(state.measured, key=lambda n: state.measured[n])[:1])
    assert (len(ups), tried_now(state)) == (2, [])
    assert count < 25, "and no more are tried than that takes"


def test_a_kept_node_that_fails_is_followed_by_one_that_is_known_to_work() -> None:
    state, _ = searched(MANY, lambda name: 50.0)
    (kept,) = (name for name, health in state.health.items() if isinstance(health, Up))
    after = told(MANY, (100.0, bad(kept)), (100.1, bad(kept)), state=state)
    assert tried_now(after)[0] in state.measured
    assert kept not in after.measured


def test_while_enough_are_known_to_work_no_others_are_looked_for() -> None:
    known = {f"sub/{number}": 10.0 * number for number in range(1, 6)}
    state = State(measured=MappingProxyType(known), health=MappingProxyType({"sub/1": Up(0.0, 10.0)}))
    after = told(MANY, (10.0, Configured()), (100.0, bad("sub/1")), (100.1, bad("sub/1")), state=state)
    assert tried_now(after) == ["sub/2"]


def test_all_nodes_dead_while_another_one_carries_is_a_knock_a_minute_at_most() -> None:
    settings = subscribed(household("a"), *NODES)
    state = told(settings, START, (1.0, good("a")))
    state, first = searched(settings, lambda name: None, state, 10.0)
    assert first == len(NODES)
    now, knocks = 80.0, 0
    while now < 80.0 + 10 * AGAIN:
        now += 1.0
        state = step(settings, state, Tick(), now)
        for each in tried_now(state):
            knocks, state = knocks + 1, step(settings, state, bad(each), now)
    assert 5 <= knocks <= 11


def test_without_any_way_out_all_nodes_are_tried_in_turn() -> None:
    _, count = searched(MANY, lambda name: None)
    assert count > 2 * len(NODES)


def test_the_transports_of_the_file_come_before_a_subscription() -> None:
    settings = subscribed(household("a"), *NODES)
    state = told(settings, START, (1.0, good("sub/1")))
    assert state.active == "sub/1"
    assert told(settings, (2.0, good("a")), state=state).active == "a"


def test_a_subscription_is_one_rung() -> None:
    settings = subscribed(household("a", standby=1), *NODES, keep=1)
    state, _ = searched(settings, lambda name: 50.0)
    assert [len([n for n, h in state.health.items() if isinstance(h, Up) and n.startswith(w)]) for w in ("a", "sub/")] == [1, 1]
    assert not [n for n in told(subscribed(household("a", "b", standby=1), *NODES), START).health if n.startswith("sub/")]


def test_a_node_whose_servers_name_nobody_knows_is_left_at_once() -> None:
    node = parse("trojan://x@nowhere.example:443").transport
    entry = Entry("sub/x", node, group="sub")
    settings = replace(MANY, transports=MappingProxyType({"sub/x": entry}))
    state = told(settings, (10.0, Configured()), (11.0, Resolved("nowhere.example", ())))
    assert isinstance(state.health["sub/x"], Down)


def test_what_is_known_of_a_name_is_forgotten_when_another_transport_has_it() -> None:
    state = told(B, *UP, (2.0, Configured(frozenset({"a"}))))
    assert (state.active, state.health["a"]) == ("b", Starting(2.0))


# -- any story ----------------------------------------------------------------------------------------------------

NAMES = ["a", "b", "c", "d"]
FINDINGS: tuple[Finding, ...] = get_args(Finding)
def test_once_the_clock_is_set_what_had_failed_is_tried_as_for_the_first_time_and_what_works_is_left_alone() -> None:
    before = told(C, START, (1.0, good("a")), (1.1, Exited("b", "expired")), (1.2, Exited("b", "expired")))
    assert isinstance(before.health["b"], Down)
    after = told(C, (1.3, ClockSet(86400.0)), state=before)
    assert after.active == "a"
    assert after.health["a"] == before.health["a"]
    assert after.health["b"] == after.health["c"] == Starting(1.3)


def test_a_date_ends_the_doubt() -> None:
    doubted = told(A, START, (1.0, Doubted()))
    assert doubted.doubted
    dated = told(A, (2.0, Dated(1.8e9)), state=doubted)
    assert (dated.booted, dated.doubted) == (1.8e9, False)


name = st.sampled_from([*NAMES, "stranger", "sub/1", "sub/2", "sub/3"])
events: st.SearchStrategy[Event] = st.one_of(
    st.just(Configured()),
    st.just(Tick()),
    st.builds(Wished, st.none() | name),
    st.builds(Exited, name, st.just("ended")),
    st.builds(Probed, name, st.none() | st.floats(1, 3000), st.just("timed out"), st.sampled_from(FINDINGS)),
    st.builds(Suspected, name, st.sampled_from(sorted(DEAF))),
    st.builds(Carried, name, st.sampled_from(["udp", "ipv6"]), st.booleans()),
    st.builds(WanChanged, st.booleans()),
    st.builds(Resolved, st.just("a.example"), st.just((ip_address("192.0.2.9"),)) | st.just(())),
    st.builds(Drifted, st.just("routes")),
    st.builds(Dated, st.floats(1e9, 2e9)),
    st.builds(Doubted),
    st.builds(ClockSet, st.floats(-1e9, 1e9)),
    st.builds(Misapplied, st.just("ruleset"), st.sampled_from(["", "no"])),
)
alone = st.builds(
    lambda names, off, standby, order: household(*names, disabled=off, standby=standby, order=order),
    st.lists(st.sampled_from(NAMES), unique=True),
    st.sets(st.sampled_from(NAMES), max_size=2),
    st.integers(0, 8),
    st.sampled_from(["listed", "fastest"]),
)
households = alone | st.builds(
    lambda settings, count, keep: subscribed(settings, *NODES[:count], keep=keep), alone, st.integers(0, 6), st.integers(1, 2)
)
pauses = st.sampled_from([0.0, 0.1, 1.0, 3.0, 13.0, 61.0, 1e6])
stories = st.lists(st.tuples(pauses, events, st.none() | households), max_size=25)


def assert_sane(settings: Settings, state: State, now: float) -> None:
    ups = {name for name, health in state.health.items() if isinstance(health, Up)}
    assert state.active is None or state.active in ups
    assert_slots(settings, state)
    assert set(state.health) <= {entry.name for entry in settings.enabled}
    if state.wish is not None:
        assert state.wish in settings.transports
        assert state.active in (None, state.wish)
    if ups and state.wish in {None, *ups}:
        assert state.active is not None, "stuck while something is up"
    for name, health in state.health.items():
        assert isinstance(health, Down) or ups.issuperset(state.beneath(name)), "inside what is not up"
        assert not (isinstance(health, Up) and health.points >= LEAVE)
        assert not (isinstance(health, Down) and health.until > now + REST)
        assert isinstance(health, Down) or health.since <= now
        if isinstance(health, Up) and health.owed and not health.points and steady(state, now):
            assert now < (until := deaf_until(health, health.owed)), "owed, and not listened to"
            assert (deadline(state, now) or until) <= until, "nobody wakes the loop for it"
    due = deadline(state, now)
    assert due is None or due > now
    assert_closed(settings, state, bool(ups))


def assert_slots(settings: Settings, state: State) -> None:
    """A transport of the file has one for ever, a node while it runs; no two have the same; few run at once."""
    own = {name for name, entry in settings.transports.items() if not entry.group}
    running = {name for name, health in state.health.items() if not isinstance(health, Down)}
    assert own | running <= set(state.slots) <= set(settings.transports)
    assert len(set(state.slots.values())) == len(state.slots)
    first = LAST_SLOT - SHARED_SLOTS + 1
    assert all((slot >= first if n not in own else 1 <= slot) and slot <= LAST_SLOT for n, slot in state.slots.items())
    assert len(running) <= MOST
    tried = [n for n in running - own if isinstance(state.health[n], Starting)]
    assert len(tried) <= HASTE + 1, "few are tried at once; and the one that the owner asked for"


def assert_closed(settings: Settings, state: State, any_up: bool) -> None:
    """New flows go into the active one's slot alone, with a line; in clear only by the owner's word, where none is up."""
    chosen = choice(settings, state, state.slots if state.active else {})
    if state.active is not None and state.wan_up:
        assert chosen == state.slots[state.active]
    elif isinstance(chosen, Direct):
        assert settings.on_failure == "direct"
        assert not any_up
        assert state.wish is None
        assert state.health, "not before anything was tried"
    else:
        assert chosen == Refuse()


def assert_evidence(before: State, state: State, event: Event, now: float) -> None:
    """No transport that is up is left without a reason: the owner's word, or another one that has proved better."""
    left = before.active
    if left is None or left == state.active or isinstance(event, Wished | Configured):
        return
    now_down = state.health.get(left)
    if not isinstance(now_down, Up):
        assert isinstance(event, Exited | Probed), "only what was seen of it convicts"
        assert event.name in (left, *state.beneath(left))
        assert isinstance(state.health[event.name], Down)
        assert event.name == left or now_down is None, "blamed for what it travels inside"
        return
    assert state.active is not None
    other = state.health[state.active]
    assert isinstance(other, Up)
    assert other.points == 0
    assert not other.failures or now >= other.since + HOLD_DOWN


def assert_nobody_is_punished_for_the_line(before: State, state: State, event: Event) -> None:
    if not before.wan_up and not state.wan_up and not isinstance(event, Exited):
        down_before = {name for name, health in before.health.items() if isinstance(health, Down)}
        assert {name for name, health in state.health.items() if isinstance(health, Down)} <= down_before


def assert_no_slot_is_taken_over(before: State, state: State) -> None:
    """Of a node that runs, nobody takes the slot; nor of one that ran just now, for its flows are not cut yet."""
    for name, slot in before.slots.items():
        if name in state.slots:
            assert state.slots[name] == slot or not name.startswith("sub/") or name not in state.health
    ran = {before.slots[n]: n for n, h in before.health.items() if not isinstance(h, Down) and n.startswith("sub/")}
    for name, slot in state.slots.items():
        assert ran.get(slot, name) == name or ran[slot] not in state.slots, "it was a node's until now"


def live(settings: Settings, story: Iterable[tuple[float, Event, Settings | None]]) -> None:
    """Lives through a story and looks at every step of it."""
    state, now = step(settings, State(), Configured(), 0.0), 0.0
    for pause, event, other in story:
        now += pause
        if other is not None:
            settings, event = other, Configured()
        before, state = state, step(settings, state, event, now)
        assert_sane(settings, state, now)
        assert_no_slot_is_taken_over(before, state)
        assert_evidence(before, state, event, now)
        assert_nobody_is_punished_for_the_line(before, state, event)


@hypothesis_settings(max_examples=EXAMPLES // 20, deadline=None)
@given(households, stories)
def test_after_any_story_the_state_makes_sense(
    settings: Settings, story: list[tuple[float, Event, Settings | None]]
) -> None:
    live(settings, story)


# -- one inside another -------------------------------------------------------------------------------------------

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


def test_a_diagnosis_ends_by_itself_when_nobody_ends_it() -> None:
    state = told(household("a"), (0.0, Configured()), (1.0, Diagnosing(31.0)))
    assert state.diagnosing_until == 31.0
    assert deadline(state, 30.0) == 31.0
    assert told(household("a"), (31.0, Tick()), state=state).diagnosing_until is None


def test_a_diagnosis_ends_when_it_is_over() -> None:
    state = told(household("a"), (0.0, Configured()), (1.0, Diagnosing(31.0)), (5.0, Diagnosing(None)))
    assert state.diagnosing_until is None


def any_household(dice: random.Random) -> Settings:
    names = dice.sample(NAMES, dice.randrange(5))
    off = [n for n in names if dice.random() < 0.1]
    order, on_failure = dice.choice(["listed", "fastest"]), dice.choice(["block", "direct"])
    plain = household(*names, disabled=off, standby=dice.choice([0, 1, 2, 3, 8]), order=order, on_failure=on_failure)
    # Inside an earlier one of the draw, so that nothing goes round in a circle.
    via = {n: dice.choice(names[:i]) for i, n in enumerate(names) if i and dice.random() < 0.2}
    made = replace(plain, transports={n: replace(e, via=via.get(n, "")) for n, e in plain.transports.items()})
    if dice.random() < 0.5:
        return made
    return subscribed(made, *NODES[: dice.choice([0, 1, 3, 40])], keep=dice.randrange(1, 5))


def any_event(dice: random.Random) -> Event:
    who = dice.choice(WHO)
    return dice.choice(KINDS)(dice, who)


WHO, SIGNS = [*NAMES, "stranger", *(f"sub/{number}" for number in NODES[:8])], sorted(DEAF)
KINDS: list[Callable[[random.Random, str], Event]] = [
    *[lambda dice, who: good(who, dice.uniform(1, 3000))] * 4,
    *[lambda dice, who: bad(who, dice.choice(FINDINGS))] * 4,
    *[lambda dice, who: Suspected(who, dice.choice(SIGNS))] * 2,
    lambda dice, who: good(who, sign=dice.choice(SIGNS)),
    lambda dice, who: Carried(who, dice.choice(["udp", "ipv6"]), dice.random() < 0.5),
    lambda dice, who: Exited(who, "ended"),
    lambda dice, who: Progressed(who, dice.randrange(101)),
    lambda dice, who: Wished(dice.choice([who, None])),
    lambda dice, who: WanChanged(dice.random() < 0.7),
    lambda dice, who: Tick(),
    lambda dice, who: Resolved(dice.choice(["a.example", TROJAN.server]), ()),
    lambda dice, who: Leased(dice.choice([(), (ip_address("192.0.2.53"),)])),
    lambda dice, who: Configured(frozenset({who})),
    lambda dice, who: Misapplied("ruleset", dice.choice(["", "no"])),
    lambda dice, who: Diagnosing(dice.choice([None, 1.0, 1e5])),
    lambda dice, who: dice.choice([Dated(1.8e9), Doubted(), ClockSet(dice.choice([-1e9, 60.0])), Drifted("routes")]),
]
# Time stands still, goes on, or jumps; backwards it goes on no monotonic clock, and yet nothing may come of it.
PAUSES = [0.0, 0.0, 0.1, 0.5, 1.0, 3.0, 13.0, 61.0, 1e6, -0.5, -61.0, -1e6]


def any_life(seed: int) -> None:
    dice = random.Random(seed)
    settings = any_household(dice)
    story = (
        (dice.choice(PAUSES), any_event(dice), any_household(dice) if dice.random() < 0.03 else None) for _ in range(30)
    )
    try:
        live(settings, story)
    except Exception as e:
        e.add_note(f"in the life of seed {seed}")
        raise


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
