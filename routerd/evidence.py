"""What is found of a transport, weighed. Pure.

TABLE is the whole of it: in this health, that evidence moves a transport there, or weighs so many points; at LEAVE
points it is left. docs/watchdog.md is drawn from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from routerd.excuses import steady, well_beneath
from routerd.ladder import served_without
from routerd.model import PATIENCE, Starting, State, Up
from routerd.rests import leave

LEAVE = 4  # points


@dataclass(frozen=True, slots=True)
class Row:
    """In health `here`, `evidence` moves a transport `to` another one, or weighs `points` against it.

    "Retried" is Starting on a steady line: after a failure, while another is up, or as one of many; never a slow kind.
    """

    here: str
    evidence: str
    to: str = ""
    points: int = 0


TABLE = (
    Row("Starting", "carried", to="Up"),
    Row("Starting", "ended", to="Down"),
    Row("Starting", "patience", to="Down"),
    Row("Retried", "carried", to="Up"),
    Row("Retried", "ended", to="Down"),
    Row("Retried", "refused", to="Down"),
    Row("Retried", "silent", to="Down"),
    Row("Retried", "forged", to="Down"),
    Row("Retried", "frozen", to="Down"),
    Row("Retried", "patience", to="Down"),
    Row("Up", "carried", to="Up"),
    Row("Up", "ended", to="Down"),
    Row("Up", "sign", points=2),
    Row("Up", "refused", points=2),
    Row("Up", "silent", points=2),
    Row("Up", "hung", points=2),
    Row("Up", "forged", points=2),
    Row("Up", "frozen", points=2),
    Row("Up", "slow", points=1),
    Row("Down", "rested", to="Starting"),
)
WORDS = {
    "carried": "a probe came through",
    "ended": "its child ended",
    "patience": "no probe came through in time",
    "sign": "the kernel saw resets, silence, no first answers, a hung engine, a flow that dwindled; or a name is odd",
    "refused": "the probe was reset",
    "silent": "the probe was not answered, and nothing was heard from its server",
    "hung": "the probe was not answered, and its engine takes no connections",
    "forged": "the probe met a forged certificate or a changed answer",
    "frozen": "large answers freeze or crawl",
    "slow": "the probe failed, though its server was heard",
    "rested": "it has rested",
}
ROWS: Mapping[tuple[str, str], Row] = {(row.here, row.evidence): row for row in TABLE}


def move(state: State, name: str, evidence: str, now: float, error: str = "") -> State:
    """What TABLE says of `evidence`, for what needs no more than its name."""
    health = state.health.get(name)
    row = ROWS.get((_here(state, name, now), evidence))
    if error and isinstance(health, Starting) and state.wan_up:
        state = state.saying(name, error)
    own = evidence == "ended" or well_beneath(state, name, now)
    match health:
        case Starting() | Up() if row and row.to == "Down":
            return leave(state, name, evidence, error, now) if own else state
        case Up() if row and row.points and steady(state, now):
            points = min(health.points + row.points, LEAVE if own else LEAVE - 1)
            if points >= LEAVE:
                return leave(state, name, evidence, error, now)
            return state.having(
                {name: replace(health, points=points, doubted=health.doubted if health.points else now)}
            )
    return state


def _here(state: State, name: str, now: float) -> str:
    health = state.health.get(name)
    # What starts slowly shows nothing by one look.
    if isinstance(health, Starting) and steady(state, now) and health.patience <= PATIENCE:
        again = health.failures > 0 and served_without(state, name)
        return "Retried" if again or health.one_of_many else "Starting"
    return type(health).__name__
