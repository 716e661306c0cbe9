"""What is found of a transport, weighed: by the table, row by row, and in stories."""

from dataclasses import replace
from typing import get_args

import pytest

from routerd.evidence import LEAVE, TABLE, WORDS, Row
from routerd.model import PATIENCE, Down, Event, Exited, Finding, Progressed, Starting, Suspected, Tick, Up
from routerd.rests import REST
from routerd.settings import Entry
from routerd.transports import SLOW
from routerd.transports.tor import Tor
from routerd.watchdog import step
from tests.unit.stories import START, UP, A, B, bad, doubt, good, told


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


def test_a_probe_that_failed_although_its_server_was_heard_weighs_half() -> None:
    slow = [(2.0 + i, bad("a", "slow")) for i in range(4)]
    assert told(B, *UP, *slow[:3]).active == "a"
    assert told(B, *UP, *slow).active == "b"


def test_a_retried_one_gets_more_than_one_look_where_its_server_or_its_engine_is_just_slow() -> None:
    state = told(B, *UP, (2.0, bad("a")), (2.1, bad("a")), (2.1 + REST, Tick()))
    for finding in ("slow", "hung"):
        state = step(B, state, bad("a", finding), 2.2 + REST)
    assert isinstance(state.health["a"], Starting)
    assert isinstance(step(B, state, good("a"), 2.3 + REST).health["a"], Up)


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
