"""When to leave a transport, and when to try it again. Every change of State begins in this file.

Each transport has a health of its own; ladder.py says which one carries new flows, given all of them. TABLE
(evidence.py) is the whole of it: in this health, that evidence moves a transport there, or weighs so many points; at
LEAVE points it is left. docs/watchdog.md is drawn from it. Rule 3 is kept by excuses.py, 4 by rests.py, 5 by alarms.py.

1. A cheap sign makes a suspect, a probe convicts: half of the points come from one, half from the other. Without a
   sign it takes two probes. A probe that came through forgives everything.
2. Loss is not a block: a probe that failed although its server was heard weighs half, and is given time (probe/).
3. Nobody is punished for the line's fault: while it is down and SETTLED seconds longer, nothing weighs anything; when
   it is back, all that rests is tried at once. Nor for the clock's: once it is set, what had failed is tried as if
   for the first time; what works is left alone. Nor for another's that it travels inside: it goes with that one,
   unblamed, and comes back with it; what fails convicts it only while that one has just shown that it is well.
4. What failed rests. An engine that ended, twice as long each time. What was blocked, for QUIET and a little, and then
   one look must do: who knocks at a blocked door more often only shows the censor where he lives. But while nothing
   carries the household, all are tried, with rests as brief as the outage is young. One of the many nodes of a
   subscription gets one look from the first: there are others (search.py says which are tried).
5. Signs that proved false are listened to less and less often, each kind by itself: a household may well talk to a
   host that is dead, or pause a film. One that shows but once is kept meanwhile, and while another is looked into.
6. No clock is read here: `now` is handed in, and may stand still or jump, back too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from routerd import ladder, lease
from routerd.alarms import forgive, remind, reminders, suspect
from routerd.evidence import move
from routerd.excuses import forgiven, line_changed, steady
from routerd.model import (
    Carried,
    ClockSet,
    Configured,
    Dated,
    Diagnosing,
    Doubted,
    Down,
    Drifted,
    Event,
    Exited,
    Health,
    Leased,
    Misapplied,
    Probed,
    Progressed,
    Resolved,
    Starting,
    State,
    Suspected,
    Tick,
    Up,
    WanChanged,
    Wished,
)
from routerd.rests import REST, roused
from routerd.settings import Settings
from routerd.slots import taken

REMEMBERED = 8  # transports that carried the household


def step(settings: Settings, state: State, event: Event, now: float) -> State:
    """The State after `event`. Pure and total: any event may come at any time, in any order."""
    taken = take(present(state, now), event, now)
    if isinstance(event, Resolved) and not event.addresses:
        taken = nowhere(settings, taken, event.host, now)
    if isinstance(event, Leased) and lease.resolver(settings, state) != lease.resolver(settings, taken):
        taken = asked_anew(settings, taken)
    return choose(settings, tend(settings, remind(taken, now), now), now)


def present(state: State, now: float) -> State:
    """Where `now` has jumped back, what would lie in the future has just begun, and no rest is longer than REST."""
    if state.wan_since > now:
        state = replace(state, wan_since=now)
    late = {name: h for name, h in state.health.items() if (h.until - REST if isinstance(h, Down) else h.since) > now}
    return state.having({name: _begun(health, now) for name, health in late.items()}) if late else state


def _begun(health: Health, now: float) -> Health:
    match health:
        case Down():
            return replace(health, until=now + REST)
        case Starting():
            return replace(health, since=now)
        case Up():
            return replace(health, since=now, seen=min(health.seen, now), alarms=())


def take(state: State, event: Event, now: float) -> State:
    """What the event says, and no more."""
    match event:
        case Wished(name):
            return replace(roused(state, {name} if name else (), now), wish=name)
        case WanChanged(up):
            return state if up == state.wan_up else line_changed(state, up, now)
        case Leased(resolvers):
            return replace(state, resolvers=resolvers)
        case Resolved(host, addresses) if addresses:
            return replace(state, addresses=MappingProxyType({**state.addresses, host: addresses}))
        case Misapplied(what, error):
            rest = {k: v for k, v in state.faults.items() if k != what}
            return replace(state, faults=MappingProxyType({**rest, what: error} if error else rest))
        case Diagnosing(until):
            return replace(state, diagnosing_until=until)
        case Dated(booted):
            return replace(state, booted=booted, doubted=False)
        case Doubted():
            return replace(state, doubted=True)
        case ClockSet():
            return forgiven(state)
        case Exited(name, error):
            return move(state, name, "ended", now, error)
        case Progressed(name, percent):
            return note_progress(state, name, percent)
        case Suspected(name, sign):
            return suspect(state, name, sign, now)
        case Probed(name, float()):
            return carried(state, event, now)
        case Probed(name, None, error, finding):
            return move(state, name, finding, now, error)
        case Carried(name, what, ok):
            return note_carried(state, name, what, ok, now)
        case Configured(changed):
            kept = {name: health for name, health in state.health.items() if name not in changed}
            return replace(state, health=MappingProxyType(kept)) if changed else state
        case Drifted() | Tick() | Probed() | Resolved():
            return state
    return state


# -- evidence -----------------------------------------------------------------------------------------------------


def note_progress(state: State, name: str, percent: int) -> State:
    """Shown until it is up, and why it did not come up, if it does not."""
    if not isinstance(state.health.get(name), Starting):
        return state
    return state.saying(name, f"{percent} % of its way into the network")


def nowhere(settings: Settings, state: State, host: str, now: float) -> State:
    """Nobody knows an address of `host`: a node there is no better than one that does not answer."""
    for name, health in state.health.items():
        one = isinstance(health, Starting) and health.one_of_many and name in settings.transports
        if one and host not in state.addresses and settings.transports[name].transport.server == host:
            state = move(state, name, "silent", now, "its server's name has no address")
    return state


def asked_anew(settings: Settings, state: State) -> State:
    """The line has another resolver: what asks that one begins again, and nothing else does."""
    anew = {name for name, entry in settings.transports.items() if lease.asks_it(entry)}
    return replace(state, health=MappingProxyType({n: h for n, h in state.health.items() if n not in anew}))


def carried(state: State, probe: Probed, now: float) -> State:
    """Up it is, and forgiven: but a probe that began before the sign says nothing about it."""
    latency = probe.latency_ms or 0.0
    match state.health.get(probe.name):
        case Starting(failures=failures):
            state = state.having({probe.name: Up(now, latency, failures=failures, seen=now, rate=probe.rate)})
            return roused(state, [other for other in state.via if probe.name in state.beneath(other)], now)
        case Up() as up:
            seen = replace(up, latency_ms=latency, seen=now, rate=probe.rate or up.rate)
            forgiven = up.sign in (None, probe.sign)
            return state.having({probe.name: forgive(seen, now) if forgiven else seen})
    return state


def note_carried(state: State, name: str, what: str, ok: bool, now: float) -> State:
    """UDP and IPv6 have a health of their own. Where even TCP is doubted, their failing says nothing."""
    match state.health.get(name):
        case Up(points=0) as up if ok or steady(state, now):
            count = 0 if ok else dict(up.lost).get(what, 0) + 1
            kept = tuple(pair for pair in up.lost if pair[0] != what)
            return state.having({name: replace(up, lost=(*kept, (what, min(count, ladder.LOST))) if count else kept)})
    return state


# -- what follows -------------------------------------------------------------------------------------------------


def tend(settings: Settings, state: State, now: float) -> State:
    """Starts what is wanted, ends patience and rests, forgets what the settings no longer have."""
    known = settings.transports.keys()
    kept = {name: h for name, h in state.health.items() if name in known and settings.transports[name].enabled}
    state = replace(
        state,
        health=MappingProxyType(kept),
        via=settings.via,
        errors=MappingProxyType({name: e for name, e in state.errors.items() if name in known}),
        wish=state.wish if state.wish in known else None,
        active=state.active if state.active in kept else None,
        diagnosing_until=_unless_over(state.diagnosing_until, now),
    )
    for name, health in kept.items():
        if isinstance(health, Starting) and now >= health.since + health.patience and state.wan_up:
            state = move(state, name, "patience", now, state.errors.get(name, "no probe came through"))
    state = replace(state, measured=_measured(settings, state))
    started = _start(settings, state, ladder.wanted(settings, state, now), now)
    return replace(started, slots=taken(settings, started))


def _start(settings: Settings, state: State, wanted: list[str], now: float) -> State:
    health: dict[str, Health] = {n: h for n, h in state.health.items() if isinstance(h, Down) or n in wanted}
    looked = {group: at for group, at in state.looked.items() if group in settings.subscriptions and at <= now}
    for name in wanted:
        entry = settings.transports[name]
        match state.health.get(name):
            case None:
                health[name] = Starting(now, 0, entry.patience, bool(entry.group))
            case Down(_, failures, _):
                health[name] = Starting(now, failures, entry.patience, bool(entry.group))
                looked |= {entry.group: now} if entry.group else {}
    return replace(state, health=MappingProxyType(health), looked=MappingProxyType(looked))


def _measured(settings: Settings, state: State) -> Mapping[str, float]:
    """Of the nodes of subscriptions; what failed is not known to work any more."""
    nodes = {name for name, entry in settings.transports.items() if entry.group and entry.enabled}
    kept = {n: ms for n, ms in state.measured.items() if n in nodes and not isinstance(state.health.get(n), Down)}
    ups = {n: h.latency_ms for n, h in state.health.items() if n in nodes and isinstance(h, Up)}
    return MappingProxyType(kept | ups)


def choose(settings: Settings, state: State, now: float) -> State:
    """Which transport carries new flows, given the health of all."""
    best = ladder.best(settings, state, now)
    if best == state.active:
        return state
    carried = (best, *(name for name in state.carried if name != best))[:REMEMBERED] if best else state.carried
    return replace(state, active=best, carried=carried, since=now)


def _unless_over(until: float | None, now: float) -> float | None:
    return until if until is not None and now < until else None


def deadline(state: State, now: float) -> float | None:
    """When the loop must send a Tick, if no event comes first. Always later than `now`."""
    times = [_due(name, health, state.active) for name, health in state.health.items()]
    times += reminders(state).values()
    times += [state.diagnosing_until] if state.diagnosing_until is not None else []
    return min((t for t in times if t > now), default=None)


def _due(name: str, health: Health, active: str | None) -> float:
    match health:
        case Down(until=until):
            return until
        case Starting(since=since, patience=patience):
            return since + patience
        case Up(since=since):
            return since + ladder.HOLD_DOWN if name != active else 0.0
