"""When to leave a transport, and which to take next. Everything that changes State is in this file.

Each transport has a health of its own; which one carries new flows follows from all of them:

               launched                a probe is carried
    (absent) ------------> Starting --------------------> Up <------+
       ^                      |  ^                        |  |      | a good probe forgives
       | not needed           |  | rested                 |  +--strike (a suspect; probed again at once)
       |        patience over,|  |                        |
       |        child exited  v  |    STRIKES, or child exited
                             Down <-----------------------+

1. More evidence to return than to leave: STRIKES failed probes leave; an earlier transport that had failed is taken
   back only after HOLD_DOWN seconds in good health. A rest doubles with each failure in a row.
2. Nobody is punished for the WAN's fault: while it is down and SETTLED seconds longer, failed probes count for nothing.
   Nor for the clock's: once it is set, what had failed is tried as if for the first time; what works is left alone.
3. What is kept warm is the active transport and the next `standby` ones that are not resting.
4. No clock is read here: `now` is handed in, and may stand still.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from routerd.model import (
    LAST_SLOT,
    ClockSet,
    Configured,
    Dated,
    Doubted,
    Down,
    Drifted,
    Event,
    Exited,
    Health,
    Misapplied,
    Probed,
    Resolved,
    Starting,
    State,
    Tick,
    Up,
    WanChanged,
    Wished,
)
from routerd.settings import Settings

V = TypeVar("V")

STRIKES = 2  # failed probes in a row, the second one through several targets at once
SETTLED = 4.0  # seconds after the WAN came back until failed probes count again; as long as the longest probe
PATIENCE = 12.0  # seconds for a new transport to carry its first probe
HOLD_DOWN = 60.0  # seconds in good health before an earlier transport is taken back
FIRST_REST, LONGEST_REST = 2.0, 60.0  # seconds; doubled with each failure in a row
FASTER = 0.7  # order = "fastest": another one must be this much quicker to be taken


def step(settings: Settings, state: State, event: Event, now: float) -> State:
    """The State after `event`. Pure and total: any event may come at any time, in any order."""
    return choose(settings, tend(settings, take(state, event, now), now), now)


def take(state: State, event: Event, now: float) -> State:
    """What the event says, and no more."""
    match event:
        case Wished(name):
            return replace(state, wish=name)
        case WanChanged(up):
            return state if up == state.wan_up else replace(state, wan_up=up, wan_since=now)
        case Resolved(host, addresses) if addresses:
            return replace(state, addresses=_with(state.addresses, host, addresses))
        case Misapplied(what, error):
            rest = {k: v for k, v in state.faults.items() if k != what}
            return replace(state, faults=MappingProxyType({**rest, what: error} if error else rest))
        case Dated(booted):
            return replace(state, booted=booted, doubted=False)
        case Doubted():
            return replace(state, doubted=True)
        case ClockSet():
            return forgiven(state)
        case Exited(name, error):
            return leave(state, name, error, now)
        case Probed(name, latency, error) if name in state.health:
            return probed(state, name, latency, error, now)
        case Configured() | Drifted() | Tick() | Probed() | Resolved():
            return state
    return state


def probed(state: State, name: str, latency: float | None, error: str, now: float) -> State:
    match state.health[name], latency:
        case Starting(failures=failures), float():
            return _set(state, name, Up(now, latency, failures=failures))
        case Up() as up, float():
            return _set(state, name, replace(up, latency_ms=latency, strikes=0))
        case Up() as up, None if _line_is_steady(state, now):
            if up.strikes + 1 >= STRIKES:
                return leave(state, name, error, now)
            return _set(state, name, replace(up, strikes=up.strikes + 1))
        case Starting(), None if state.wan_up:
            return replace(state, errors=_with(state.errors, name, error))
    return state


def _line_is_steady(state: State, now: float) -> bool:
    """A probe that failed just after the line came back began while it was down, or has to wait for it to settle."""
    return state.wan_up and now >= state.wan_since + SETTLED


def leave(state: State, name: str, error: str, now: float) -> State:
    """Let a failed transport rest. Its child is stopped and its flows are cut, because plan no longer has it."""
    match state.health.get(name):
        case None | Down():
            return state
        case Starting(failures=failures):
            failures += 1
        case Up(since=since, failures=failures):
            failures = failures + 1 if now < since + HOLD_DOWN else 1  # good for a moment only: it is flapping
    rest = min(LONGEST_REST, FIRST_REST * 2 ** min(failures - 1, 10))
    rested = _set(state, name, Down(now + rest, failures, error))
    return replace(rested, errors=_with(state.errors, name, error))


def forgiven(state: State) -> State:
    """A wrong clock was the reason, or may have been: what does not work is tried anew, as if for the first time."""
    return replace(state, health=MappingProxyType({n: h for n, h in state.health.items() if isinstance(h, Up)}))


def tend(settings: Settings, state: State, now: float) -> State:
    """Starts what is wanted, ends patience and rests, forgets what the settings no longer have."""
    known = settings.transports.keys()
    kept = {name: h for name, h in state.health.items() if name in known and settings.transports[name].enabled}
    state = replace(
        state,
        health=MappingProxyType(kept),
        slots=_slots(settings, state.slots),
        errors=MappingProxyType({name: e for name, e in state.errors.items() if name in known}),
        wish=state.wish if state.wish in known else None,
        active=state.active if state.active in kept else None,
    )
    for name, health in kept.items():
        if isinstance(health, Starting) and now >= health.since + PATIENCE and state.wan_up:
            state = leave(state, name, state.errors.get(name, "no probe came through"), now)
    return _start(settings, state, now)


def _start(settings: Settings, state: State, now: float) -> State:
    wanted = _wanted(settings, state, now)
    health: dict[str, Health] = {n: h for n, h in state.health.items() if isinstance(h, Down) or n in wanted}
    for name in wanted:
        match state.health.get(name):
            case None:
                health[name] = Starting(now)
            case Down(_, failures, _):
                health[name] = Starting(now, failures)
    return replace(state, health=MappingProxyType(health))


def _wanted(settings: Settings, state: State, now: float) -> list[str]:
    """Which transports should have a child: the chosen one, healthy ones, the next in order; and one retry.

    A healthy standby is not given up to retry an earlier one: the retry runs beside it until it has shown itself.
    """
    listed = [e.name for e in settings.enabled if not _resting(state.health.get(e.name), now)]
    first = state.wish if state.wish is not None else state.active
    ready = sorted(listed, key=lambda name: (name != first, not isinstance(state.health.get(name), Up)))
    warm = ready[: 1 + settings.standby]
    retry = next((name for name in listed if name not in warm), None)
    earlier = retry is not None and any(listed.index(retry) < listed.index(name) for name in warm)
    return [*warm, retry] if retry is not None and earlier else warm


def _resting(health: Health | None, now: float) -> bool:
    return isinstance(health, Down) and now < health.until


def choose(settings: Settings, state: State, now: float) -> State:
    """Which transport carries new flows, given the health of all."""
    best = _best(settings, state, now)
    return state if best == state.active else replace(state, active=best, since=now)


def _best(settings: Settings, state: State, now: float) -> str | None:
    ups = {e.name: h for e in settings.enabled if isinstance(h := state.health.get(e.name), Up)}
    if state.wish is not None:
        return state.wish if state.wish in ups else None
    active = ups.get(state.active or "")
    if active is None:
        return min(ups, key=lambda name: _rank(settings, ups, name)) if ups else None
    better = [name for name, h in ups.items() if _is_better(settings, ups, name, state.active or "", now)]
    return min(better, key=lambda name: _rank(settings, ups, name)) if better else state.active


def _rank(settings: Settings, ups: Mapping[str, Up], name: str) -> tuple[bool, float]:
    """Smaller is better. A suspect comes after all that are not."""
    order = ups[name].latency_ms if settings.order == "fastest" else list(ups).index(name)
    return ups[name].strikes > 0, order


def _is_better(settings: Settings, ups: Mapping[str, Up], name: str, active: str, now: float) -> bool:
    """Good enough to leave a working transport for: proven for a while, and earlier listed or clearly faster."""
    up, proven = ups[name], now >= ups[name].since + HOLD_DOWN
    if name == active or up.strikes:
        return False
    if settings.order == "fastest":
        return proven and up.latency_ms < FASTER * ups[active].latency_ms
    return (proven or not up.failures) and list(ups).index(name) < list(ups).index(active)


def deadline(state: State, now: float) -> float | None:
    """When the loop must send a Tick, if no event comes first. Always later than `now`."""
    times = [_due(name, health, state.active) for name, health in state.health.items()]
    return min((t for t in times if t > now), default=None)


def _due(name: str, health: Health, active: str | None) -> float:
    match health:
        case Down(until=until):
            return until
        case Starting(since=since):
            return since + PATIENCE
        case Up(since=since):
            return since + HOLD_DOWN if name != active else 0.0


def _slots(settings: Settings, slots: Mapping[str, int]) -> Mapping[str, int]:
    """Each transport keeps its slot as long as the settings have it."""
    kept = {name: slot for name, slot in slots.items() if name in settings.transports}
    free = iter(sorted(set(range(1, LAST_SLOT + 1)) - set(kept.values())))
    return MappingProxyType({name: kept[name] if name in kept else next(free) for name in settings.transports})


def _set(state: State, name: str, health: Health) -> State:
    return replace(state, health=_with(state.health, name, health))


def _with(mapping: Mapping[str, V], key: str, value: V) -> Mapping[str, V]:
    return MappingProxyType({**mapping, key: value})
