"""Which nodes of a subscription are tried, and which are kept."""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from routerd.links import parse
from routerd.model import Configured, Down, Resolved, Starting, State, Tick, Up
from routerd.search import AGAIN, CALMLY, HASTE, SAMPLE
from routerd.settings import Entry, Settings
from routerd.watchdog import step
from tests.unit.lives import NODES
from tests.unit.stories import START, bad, good, household, subscribed, told

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
