"""When to leave a transport, and when to try it again. Everything that changes State is in this file.

Each transport has a health of its own; ladder.py says which one carries new flows, given all of them. TABLE is the
whole of it: in this health, that evidence moves a transport there, or weighs so many points; at LEAVE points it is
left. docs/watchdog.md is drawn from it.

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

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from routerd import ladder, lease
from routerd.model import (
    PATIENCE,
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
    Sign,
    Starting,
    State,
    Suspected,
    Tick,
    Up,
    WanChanged,
    Wished,
)
from routerd.settings import Settings
from routerd.slots import taken

V = TypeVar("V")

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

SETTLED = 4.0  # seconds after the WAN came back until evidence counts again; as long as the longest probe
FIRST_REST, LONGEST_REST = 1.0, 60.0  # seconds, of an engine that ended; doubled with each failure in a row
QUIET, UNEVEN = 60.0, 30.0  # seconds, of what was blocked; and up to so many more, for nothing may have a rhythm
YOUNG, BRIEFEST, BRIEF = 60.0, 1.0, 22.0  # while nothing is up: an outage's age over YOUNG, within these; roughly
DICE = 618.034  # where `now` falls within a millisecond or two is as good as dice; within a second, it went in a circle
REST = max(LONGEST_REST, QUIET + UNEVEN)  # at most
# Seconds for which a sign is not listened to after it was false; doubled each time, within these; forgotten after CALM.
DEAF: Mapping[Sign, tuple[float, float]] = {
    "refused": (1.0, 15.0),
    "silent": (1.0, 30.0),
    "mute": (1.0, 30.0),
    "hung": (1.0, 30.0),
    "forged": (10.0, 300.0),
    "stalled": (5.0, 120.0),
}
CALM = 120.0
ONCE: frozenset[Sign] = frozenset({"stalled"})  # show but once, and are kept until they can be listened to
ECHO = 4.5  # seconds for which flows that broke still show, behind the look at them
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
    return _merged(state, {name: _begun(health, now) for name, health in late.items()}) if late else state


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
            return replace(_roused(state, {name} if name else (), now), wish=name)
        case WanChanged(up):
            return state if up == state.wan_up else line_changed(state, up, now)
        case Leased(resolvers):
            return replace(state, resolvers=resolvers)
        case Resolved(host, addresses) if addresses:
            return replace(state, addresses=_with(state.addresses, host, addresses))
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


def move(state: State, name: str, evidence: str, now: float, error: str = "") -> State:
    """What TABLE says of `evidence`, for what needs no more than its name."""
    health = state.health.get(name)
    row = ROWS.get((_here(state, name, now), evidence))
    if error and isinstance(health, Starting) and state.wan_up:
        state = replace(state, errors=_with(state.errors, name, error))
    own = evidence == "ended" or well_beneath(state, name, now)
    match health:
        case Starting() | Up() if row and row.to == "Down":
            return leave(state, name, evidence, error, now) if own else state
        case Up() if row and row.points and steady(state, now):
            points = min(health.points + row.points, LEAVE if own else LEAVE - 1)
            if points >= LEAVE:
                return leave(state, name, evidence, error, now)
            return _set(state, name, replace(health, points=points, doubted=health.doubted if health.points else now))
    return state


def note_progress(state: State, name: str, percent: int) -> State:
    """Shown until it is up, and why it did not come up, if it does not."""
    if not isinstance(state.health.get(name), Starting):
        return state
    return replace(state, errors=_with(state.errors, name, f"{percent} % of its way into the network"))


def _here(state: State, name: str, now: float) -> str:
    health = state.health.get(name)
    # What starts slowly shows nothing by one look.
    if isinstance(health, Starting) and steady(state, now) and health.patience <= PATIENCE:
        again = health.failures > 0 and served_without(state, name)
        return "Retried" if again or health.one_of_many else "Starting"
    return type(health).__name__


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


def served_without(state: State, name: str) -> bool:
    """Whether another one that is up, and goes without this one, may carry the household."""
    ups = [other for other, h in state.health.items() if isinstance(h, Up) and state.wish in (None, other)]
    return any(name not in (other, *state.beneath(other)) for other in ups)


def well_beneath(state: State, name: str, now: float) -> bool:
    """Whether what it travels inside has shown itself well since this one is in doubt: else it may be that one's fault.

    Signs against the outer one say nothing here: what hangs in it makes some by itself.
    """
    health = state.health.get(name)
    began = health.doubted if isinstance(health, Up) else health.since if isinstance(health, Starting) else now
    outer = [state.health.get(other) for other in state.beneath(name)]
    return all(isinstance(h, Up) and h.seen > began and now - h.seen <= ladder.FRESH for h in outer)


def suspect(state: State, name: str, sign: Sign, now: float) -> State:
    match state.health.get(name):
        case Up() as up if steady(state, now):
            return _set(state, name, _doubted(up, sign, now))
    return state


def _doubted(up: Up, sign: Sign, now: float) -> Up:
    """A suspect; or it owes the sign, where that shows but once and cannot be listened to now."""
    if now < deaf_until(up, sign):
        since = deaf_until(up, sign) - _deaf_for(sign, _in_a_row(up, sign))
        return _owing(up, sign) if now >= since + ECHO else up
    if not up.points:
        owed = None if up.owed == sign else up.owed
        return replace(up, points=ROWS["Up", "sign"].points, sign=sign, doubted=now, owed=owed)
    if sign == "mute" and up.sign != "forged":  # it says what a probe that fails slowly has found
        return replace(_owing(up, up.sign), sign=sign)
    return up if sign == up.sign else _owing(up, sign)


def _owing(up: Up, sign: Sign | None) -> Up:
    return replace(up, owed=sign) if sign in ONCE else up


def remind(state: State, now: float) -> State:
    """What is owed is listened to as soon as it can be."""
    for name, at in _reminders(state).items():
        health = state.health[name]
        if isinstance(health, Up) and health.owed and now >= at:
            state = _set(state, name, _doubted(health, health.owed, now))
    return state


def _reminders(state: State) -> Mapping[str, float]:
    """When what is owed can be listened to: not while there is another doubt, nor before the line has settled."""
    owing = {n: h for n, h in state.health.items() if isinstance(h, Up) and h.owed and not h.points and state.wan_up}
    settled = state.wan_since + SETTLED
    return {n: max(settled, deaf_until(up, up.owed)) for n, up in owing.items() if up.owed}


def carried(state: State, probe: Probed, now: float) -> State:
    """Up it is, and forgiven: but a probe that began before the sign says nothing about it."""
    latency = probe.latency_ms or 0.0
    match state.health.get(probe.name):
        case Starting(failures=failures):
            state = _set(state, probe.name, Up(now, latency, failures=failures, seen=now, rate=probe.rate))
            return _roused(state, [other for other in state.via if probe.name in state.beneath(other)], now)
        case Up() as up:
            seen = replace(up, latency_ms=latency, seen=now, rate=probe.rate or up.rate)
            forgiven = up.sign in (None, probe.sign)
            return _set(state, probe.name, forgive(seen, now) if forgiven else seen)
    return state


def forgive(up: Up, now: float) -> Up:
    """A sign that proved false is deaf for a while, longer each time it does so in a row."""
    if up.sign is None:
        return replace(up, points=0, doubted=0.0)
    count = 1 if now > deaf_until(up, up.sign) + CALM else _in_a_row(up, up.sign) + 1
    deaf = (up.sign, count, now + _deaf_for(up.sign, count))
    return replace(up, points=0, sign=None, doubted=0.0, alarms=(*(a for a in up.alarms if a[0] != up.sign), deaf))


def _deaf_for(sign: Sign, count: int) -> float:
    first, longest = DEAF[sign]
    return min(longest, first * 2.0 ** min(count - 1, 10))


def _in_a_row(up: Up, sign: Sign) -> int:
    return next((count for kind, count, _ in up.alarms if kind == sign), 0)


def deaf_until(up: Up, sign: Sign) -> float:
    return next((until for kind, _, until in up.alarms if kind == sign), float("-inf"))


def note_carried(state: State, name: str, what: str, ok: bool, now: float) -> State:
    """UDP and IPv6 have a health of their own. Where even TCP is doubted, their failing says nothing."""
    match state.health.get(name):
        case Up(points=0) as up if ok or steady(state, now):
            count = 0 if ok else dict(up.lost).get(what, 0) + 1
            kept = tuple(pair for pair in up.lost if pair[0] != what)
            return _set(state, name, replace(up, lost=(*kept, (what, min(count, ladder.LOST))) if count else kept))
    return state


def steady(state: State, now: float) -> bool:
    """What fails just after the line came back began while it was down, or has to wait for it to settle."""
    return state.wan_up and now >= state.wan_since + SETTLED


def line_changed(state: State, up: bool, now: float) -> State:
    state = replace(state, wan_up=up, wan_since=now)
    return _merged(state, {name: _fresh(h, now) for name, h in state.health.items()}) if up else state


def _fresh(health: Health, now: float) -> Health:
    match health:
        case Down():
            return replace(health, until=now)
        case Starting():
            return replace(health, since=now)
        case Up():
            return replace(health, points=0, sign=None, doubted=0.0, owed=None)


def leave(state: State, name: str, evidence: str, error: str, now: float) -> State:
    """Let a failed transport rest. Its child is stopped and its flows are cut, because plan no longer has it."""
    health = state.health.get(name)
    match health:
        case None | Down():
            return state
        case Starting(failures=failures):
            failures += 1
        case Up(since=since, failures=failures):
            failures = failures + 1 if now < since + ladder.HOLD_DOWN else 1  # good for a moment only: it is flapping
    rested = _set(state, name, Down(now + _rest(state, name, evidence, failures, now), failures, error))
    rested = replace(rested, errors=_with(state.errors, name, error))
    last = isinstance(health, Up) and not served_without(state, name)
    return _roused(rested, set(state.health) - {name}, now + BRIEFEST) if last else rested


def _rest(state: State, name: str, evidence: str, failures: int, now: float) -> float:
    rest = min(LONGEST_REST, FIRST_REST * 2.0 ** min(failures - 1, 10))
    if evidence == "ended":  # an engine that cannot even run is not helped by haste
        return rest
    dice = now * DICE % 1.0
    if served_without(state, name):
        return QUIET + UNEVEN * dice
    outage = now - state.since if state.active is None else 0.0
    return min(rest, BRIEF, max(BRIEFEST, outage / YOUNG)) * (0.7 + 0.6 * dice)


def _roused(state: State, names: Collection[str], until: float) -> State:
    """These have rested enough then: nothing is up any more, or the owner has asked for one."""
    resting = {name: h for name, h in state.health.items() if isinstance(h, Down) and name in names}
    return _merged(state, {name: replace(h, until=min(h.until, until)) for name, h in resting.items()})


def forgiven(state: State) -> State:
    """A wrong clock was the reason, or may have been: what does not work is tried anew, as if for the first time."""
    return replace(state, health=MappingProxyType({n: h for n, h in state.health.items() if isinstance(h, Up)}))


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
    times += _reminders(state).values()
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


def _set(state: State, name: str, health: Health) -> State:
    return _merged(state, {name: health})


def _merged(state: State, changed: Mapping[str, Health]) -> State:
    return replace(state, health=MappingProxyType({**state.health, **changed}))


def _with(mapping: Mapping[str, V], key: str, value: V) -> Mapping[str, V]:
    return MappingProxyType({**mapping, key: value})
