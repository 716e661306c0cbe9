"""Which transports are kept running, and which one carries new flows."""

from routerd.ladder import FRESH, HOLD_DOWN, carries
from routerd.model import Carried, Exited, Starting, State, Tick, Wished
from routerd.rests import FIRST_REST
from routerd.watchdog import step
from tests.unit.stories import START, UP, A, B, C, bad, good, household, told


def test_nothing_is_active_before_a_probe_came_through() -> None:
    state = told(B, START, (1.0, Tick()))
    assert state.active is None
    assert state.health == {"a": Starting(0.0), "b": Starting(0.0)}


def test_the_first_one_that_carries_a_probe_carries_new_flows() -> None:
    state = told(B, START, (1.0, good("b")))
    assert (state.active, state.since) == ("b", 1.0)


def test_an_earlier_one_that_never_failed_is_taken_as_soon_as_it_is_up() -> None:
    assert told(B, START, (1.0, good("b")), (2.0, good("a"))).active == "a"


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


def test_what_carried_the_household_before_the_restart_is_started_first() -> None:
    state = told(household("a", "b", "c", standby=0), START, state=State(carried=("c", "b")))
    assert set(state.health) == {"c", "a"}  # a: the retry of what is listed first


def test_one_that_had_failed_is_taken_back_only_after_the_hold_down() -> None:
    failed = told(B, START, (1.0, good("a")), (1.1, good("b")), (2.0, Exited("a", "x")), (2.0 + FIRST_REST, Tick()))
    back = step(B, failed, good("a"), 5.0)
    assert back.active == "b"
    assert step(B, back, Tick(), 5.0 + HOLD_DOWN - 0.1).active == "b"
    assert step(B, back, Tick(), 5.0 + HOLD_DOWN).active == "a"


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
