"""State in words: the phase, and problems with their cure."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Interface
from types import MappingProxyType

import pytest

from routerd.links import parse
from routerd.model import Differences, Down, Health, Starting, State, Status, SubscriptionStatus, Up
from routerd.settings import Entry, Settings, Subscription
from routerd.status import PROBLEMS, Beside, phase_of, present, status
from routerd.transports.tor import Tor

TROJAN = parse("trojan://x@192.0.2.1:443?sni=a.example").transport
NOBODY = Settings("eth0", "br-lan", IPv4Interface("192.168.77.1/24"))
HOME = replace(NOBODY, transports=MappingProxyType({n: Entry(n, TROJAN) for n in "ab"}))
REST = Down(60.0, 1, "timed out")


def shown(settings: Settings | None, state: State) -> Status:
    return status(settings, state, Beside(datetime(2026, 1, 1, tzinfo=UTC), {"a": (1, 2)}), "1.0")


def codes(settings: Settings | None, state: State) -> list[str]:
    return [problem.code for problem in shown(settings, state).problems]


def standing(active: str | None = None, **health: Health) -> State:
    return State(health=health, active=active)


@pytest.mark.parametrize(
    ("settings", "state", "phase"),
    [
        (None, State(), "closed"),
        (None, replace(standing("a", a=Up(0, 1)), wan_up=False), "closed"),
        (HOME, replace(standing("a", a=Up(0, 1)), wan_up=False), "offline"),
        (HOME, standing("a", a=Up(0, 1)), "open"),
        (HOME, standing("b", a=Starting(0), b=Up(0, 1)), "open"),
        (HOME, standing(a=Starting(0), b=REST), "switching"),
        (HOME, standing(a=Starting(0, failures=1), b=REST), "blocked"),
        (HOME, standing(a=REST, b=REST), "blocked"),
        (NOBODY, State(), "blocked"),
    ],
)
def test_the_phase_says_where_the_household_stands(settings: Settings | None, state: State, phase: str) -> None:
    assert phase_of(settings, state) == phase
    assert shown(settings, state).phase == phase


def test_all_is_well_without_problems() -> None:
    assert codes(HOME, standing("a", a=Up(0, 1), b=Up(0, 1))) == []


def test_while_it_starts_there_is_no_problem_yet() -> None:
    assert codes(HOME, standing(a=Starting(0), b=Starting(0))) == []


def test_one_that_is_down_is_named_with_its_reason() -> None:
    (problem,) = shown(HOME, standing("b", a=REST, b=Up(0, 1))).problems
    assert (problem.code, problem.severity) == ("transport_down", "warning")
    assert "a: timed out" in problem.title


def test_a_line_that_is_down_hides_its_consequences() -> None:
    assert codes(HOME, replace(standing(a=REST, b=REST), wan_up=False)) == ["wan_down"]


def test_a_fault_that_only_follows_from_another_is_hidden() -> None:
    state = replace(standing("a", a=Up(0, 1), b=Up(0, 1)), faults={"clock_wrong": "", "throttled": ""})
    assert codes(HOME, state) == ["clock_wrong"]


def test_everything_down_is_one_problem_not_many() -> None:
    assert codes(HOME, standing(a=REST, b=REST)) == ["all_down"]


def test_a_wish_that_is_down_says_so() -> None:
    state = replace(standing(a=REST, b=Up(0, 1)), wish="a")
    assert codes(HOME, state) == ["chosen_down"]
    assert shown(HOME, state).mode == "manual"


def test_without_a_transport_the_owner_is_told_to_add_one() -> None:
    assert codes(NOBODY, State()) == ["no_transport"]


def test_a_box_with_a_ladder_of_its_own_says_what_it_is_trying_and_then_what_it_uses() -> None:
    own = replace(HOME, own_ladder=True)
    state = replace(standing(a=Starting(0), b=Starting(0)), errors={"b": "45 % of its way into the network"})
    (problem,) = shown(own, state).problems
    assert (problem.code, problem.severity) == ("own_ladder", "info")
    assert "trying a, b: 45 % of its way" in problem.title
    (problem,) = shown(own, standing("b", a=Starting(0), b=Up(0, 1))).problems
    assert "(b)" in problem.title


def test_a_kind_that_carries_no_udp_says_so() -> None:
    home = replace(HOME, transports={"a": Entry("a", Tor()), "b": HOME.transports["b"]})
    assert [found.udp for found in shown(home, standing(a=Up(0, 1), b=Up(0, 1))).transports] == [False, True]


def test_without_settings_only_the_settings_are_the_problem() -> None:
    state = replace(standing(a=REST), faults={"settings": "wan.interface: is missing"})
    (problem,) = shown(None, state).problems
    assert problem.code == "settings"
    assert "wan.interface: is missing" in problem.title


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_problem_has_a_title_and_a_cure(code: str) -> None:
    (problem,) = shown(None, replace(State(), faults={code: ""})).problems
    assert problem.title
    assert problem.cure
    assert problem.severity in ("info", "warning", "error")


@pytest.mark.parametrize(
    ("health", "state"),
    [
        (Up(0, 81.6), "up"),
        (Up(0, 81.6, points=1), "suspect"),
        (Starting(0), "starting"),
        (Starting(0, failures=2), "down"),
        (REST, "down"),
    ],
)
def test_each_transports_health_is_one_word(health: Health, state: str) -> None:
    found = shown(HOME, standing(a=health)).transports[0]
    assert (found.state, found.latency_ms) == (state, 82 if isinstance(health, Up) else None)
    assert (found.bytes_up, found.bytes_down) == (1, 2)


def test_a_transport_without_a_child_is_waiting_or_disabled() -> None:
    off = replace(HOME, transports={"a": replace(HOME.transports["a"], enabled=False), "b": HOME.transports["b"]})
    assert [t.state for t in shown(off, State()).transports] == ["disabled", "starting"]


def test_warm_is_what_is_up_and_not_active() -> None:
    found = shown(HOME, standing("a", a=Up(0, 1), b=Up(0, 1)))
    assert [t.warm for t in found.transports] == [False, True]
    assert (found.active, found.mode, found.since) == ("a", "auto", "2026-01-01T00:00:00Z")


def test_the_last_error_stays_to_be_read() -> None:
    assert shown(HOME, replace(standing(a=Up(0, 1)), errors={"a": "x"})).transports[0].last_error == "x"


def test_what_heals_within_seconds_is_not_shown_at_all() -> None:
    state = standing("b", a=REST, b=Up(0, 1))

    def seen(lasting: float) -> list[str]:
        found = status(HOME, state, Beside(datetime(2026, 1, 1, tzinfo=UTC), lasting={"transport_down": lasting}), "1.0")
        return [problem.code for problem in found.problems]

    assert present(HOME, state) == {"transport_down"}
    assert (seen(1.0), seen(11.0)) == ([], ["transport_down"])


def test_what_a_kind_never_carries_is_shown_so() -> None:
    entries = {"web": "http://192.0.2.1:8080", "old": "socks4://192.0.2.1:1080"}
    settings = replace(NOBODY, transports=MappingProxyType({n: Entry(n, parse(t).transport) for n, t in entries.items()}))
    found = shown(settings, standing("web", web=Up(0, 1), old=Up(0, 1))).transports
    assert [(t.udp, t.ipv6) for t in found] == [(False, True), (False, False)]


def test_inside_one_that_encrypts_a_proxy_needs_no_warning() -> None:
    inner = Entry("in", parse("socks5://192.0.2.1").transport, via="a")
    settings = replace(NOBODY, transports=MappingProxyType({"a": Entry("a", TROJAN), "in": inner}))
    assert codes(settings, standing("a", a=Up(0, 1), **{"in": Up(0, 1)})) == []


def test_a_proxy_without_encryption_is_warned_of() -> None:
    entries = {"web": "http://192.0.2.1:80", "safe": "https://192.0.2.1:443", "old": "socks5://192.0.2.1"}
    settings = replace(NOBODY, transports=MappingProxyType({n: Entry(n, parse(t).transport) for n, t in entries.items()}))
    found = shown(settings, standing("safe", web=Up(0, 1), safe=Up(0, 1), old=REST)).problems
    assert [(p.code, p.title[-6:]) for p in found if p.code == "readable"] == [("readable", " (web)"), ("readable", " (old)")]


# -- subscriptions ------------------------------------------------------------------------------------------------

AUNT = SubscriptionStatus(
    "Aunt", "panel.example", "", 2, 0, 0, 0, None, None, None, None, None, False, False, Differences(), None
)
GROUP = {f"Aunt/{n}": Entry(f"Aunt/{n}", TROJAN, group="Aunt") for n in "xy"}
SUBSCRIBED = replace(
    HOME,
    transports=MappingProxyType({**HOME.transports, **GROUP}),
    subscriptions=MappingProxyType({"Aunt": Subscription("Aunt", "https://panel.example/t0ken")}),
)


def seen(state: State, told: SubscriptionStatus = AUNT, settings: Settings = SUBSCRIBED) -> Status:
    return status(settings, state, Beside(datetime(2026, 1, 1, tzinfo=UTC), told=[told]), "1.0")


def test_of_a_subscriptions_nodes_those_that_run_are_shown_and_all_are_counted() -> None:
    found = seen(State(health={"a": Up(0, 1), "Aunt/x": Up(0, 1), "Aunt/y": REST}, active="a"))
    assert [t.name for t in found.transports] == ["a", "b", "Aunt/x"]
    assert (found.subscriptions[0].up, found.subscriptions[0].failed) == (1, 1)


def test_whoever_looks_knows_what_cannot_be_removed_by_itself() -> None:
    def told(settings: Settings) -> list[tuple[str, str | None, bool]]:
        shown = seen(State(health={"a": Up(0, 1), "Aunt/x": Up(0, 1)}, active="a"), settings=settings).transports
        return [(t.name, t.subscription, t.builtin) for t in shown]

    assert told(SUBSCRIBED) == [("a", None, False), ("b", None, False), ("Aunt/x", "Aunt", False)]
    laddered = told(replace(SUBSCRIBED, own_ladder=True))
    assert laddered == [("a", None, True), ("b", None, True), ("Aunt/x", "Aunt", False)]


def test_that_one_node_of_many_does_not_work_is_no_problem_that_none_does_is_one() -> None:
    one = State(health={"a": Up(0, 1), "Aunt/x": Up(0, 1), "Aunt/y": REST}, active="a")
    none = replace(one, health={"a": Up(0, 1), "Aunt/x": Starting(0, 1, True), "Aunt/y": REST})
    assert [[p.code for p in seen(state).problems] for state in (one, none)] == [[], ["subscription_down"]]


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (replace(AUNT, waits=True), "subscription_waits"),
        (replace(AUNT, last_error="status 403"), "subscription_failed"),
        (replace(AUNT, pending=Differences(("x",))), "subscription_changed"),
        (replace(AUNT, expired=True), "subscription_expired"),
    ],
)
def test_what_is_wrong_with_a_subscription_is_a_problem_with_its_name(told: SubscriptionStatus, code: str) -> None:
    (problem,) = seen(standing("a", a=Up(0, 1)), told).problems
    assert problem.code == code
    assert "Aunt" in problem.title
    assert present(SUBSCRIBED, standing("a", a=Up(0, 1)), [told]) == {code}


def test_with_a_subscription_alone_the_owner_is_told_what_it_waits_for() -> None:
    only = replace(SUBSCRIBED, transports={})
    assert [p.code for p in seen(State(), replace(AUNT, nodes=0, waits=True), only).problems] == ["subscription_waits"]
