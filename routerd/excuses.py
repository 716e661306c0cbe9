"""Nobody is punished for another's fault: the line's, the clock's, or that of what it travels inside. Pure."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from routerd.ladder import FRESH
from routerd.model import Down, Health, Starting, State, Up

SETTLED = 4.0  # seconds after the WAN came back until evidence counts again; as long as the longest probe


def steady(state: State, now: float) -> bool:
    """What fails just after the line came back began while it was down, or has to wait for it to settle."""
    return state.wan_up and now >= state.wan_since + SETTLED


def line_changed(state: State, up: bool, now: float) -> State:
    state = replace(state, wan_up=up, wan_since=now)
    return state.having({name: _fresh(h, now) for name, h in state.health.items()}) if up else state


def _fresh(health: Health, now: float) -> Health:
    match health:
        case Down():
            return replace(health, until=now)
        case Starting():
            return replace(health, since=now)
        case Up():
            return replace(health, points=0, sign=None, doubted=0.0, owed=None)


def forgiven(state: State) -> State:
    """A wrong clock was the reason, or may have been: what does not work is tried anew, as if for the first time."""
    return replace(state, health=MappingProxyType({n: h for n, h in state.health.items() if isinstance(h, Up)}))


def well_beneath(state: State, name: str, now: float) -> bool:
    """Whether what it travels inside has shown itself well since this one is in doubt: else it may be that one's fault.

    Signs against the outer one say nothing here: what hangs in it makes some by itself.
    """
    health = state.health.get(name)
    began = health.doubted if isinstance(health, Up) else health.since if isinstance(health, Starting) else now
    outer = [state.health.get(other) for other in state.beneath(name)]
    return all(isinstance(h, Up) and h.seen > began and now - h.seen <= FRESH for h in outer)
