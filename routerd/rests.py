"""How long what failed rests. Pure.

An engine that ended, twice as long each time. What was blocked, for QUIET and a little: who knocks at a blocked door
more often only shows the censor where he lives. While nothing carries the household, as briefly as the outage is young.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from routerd.ladder import HOLD_DOWN, served_without
from routerd.model import Down, Starting, State, Up

FIRST_REST, LONGEST_REST = 1.0, 60.0  # seconds, of an engine that ended; doubled with each failure in a row
QUIET, UNEVEN = 60.0, 30.0  # seconds, of what was blocked; and up to so many more, for nothing may have a rhythm
YOUNG, BRIEFEST, BRIEF = 60.0, 1.0, 22.0  # while nothing is up: an outage's age over YOUNG, within these; roughly
DICE = 618.034  # where `now` falls within a millisecond or two is as good as dice; within a second, it went in a circle
REST = max(LONGEST_REST, QUIET + UNEVEN)  # at most


def leave(state: State, name: str, evidence: str, error: str, now: float) -> State:
    """Let a failed transport rest. Its child is stopped and its flows are cut, because plan no longer has it."""
    health = state.health.get(name)
    match health:
        case None | Down():
            return state
        case Starting(failures=failures):
            failures += 1
        case Up(since=since, failures=failures):
            failures = failures + 1 if now < since + HOLD_DOWN else 1  # good for a moment only: it is flapping
    rested = state.having({name: Down(now + _rest(state, name, evidence, failures, now), failures, error)})
    rested = rested.saying(name, error)
    last = isinstance(health, Up) and not served_without(state, name)
    return roused(rested, set(state.health) - {name}, now + BRIEFEST) if last else rested


def _rest(state: State, name: str, evidence: str, failures: int, now: float) -> float:
    rest = min(LONGEST_REST, FIRST_REST * 2.0 ** min(failures - 1, 10))
    if evidence == "ended":  # an engine that cannot even run is not helped by haste
        return rest
    dice = now * DICE % 1.0
    if served_without(state, name):
        return QUIET + UNEVEN * dice
    outage = now - state.since if state.active is None else 0.0
    return min(rest, BRIEF, max(BRIEFEST, outage / YOUNG)) * (0.7 + 0.6 * dice)


def roused(state: State, names: Collection[str], until: float) -> State:
    """These have rested enough then: nothing is up any more, or the owner has asked for one."""
    resting = {name: h for name, h in state.health.items() if isinstance(h, Down) and name in names}
    return state.having({name: replace(h, until=min(h.until, until)) for name, h in resting.items()})
