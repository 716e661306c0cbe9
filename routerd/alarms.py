"""Signs: what makes a suspect, and what proved a false alarm. Pure.

A sign that proved false is listened to less and less often, each kind by itself: a household may well talk to a host
that is dead, or pause a film. One that shows but once is kept meanwhile (`owed`), and while another is looked into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from routerd.evidence import ROWS
from routerd.excuses import SETTLED, steady
from routerd.model import Sign, State, Up

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


def suspect(state: State, name: str, sign: Sign, now: float) -> State:
    match state.health.get(name):
        case Up() as up if steady(state, now):
            return state.having({name: _doubted(up, sign, now)})
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
    for name, at in reminders(state).items():
        health = state.health[name]
        if isinstance(health, Up) and health.owed and now >= at:
            state = state.having({name: _doubted(health, health.owed, now)})
    return state


def reminders(state: State) -> Mapping[str, float]:
    """When what is owed can be listened to: not while there is another doubt, nor before the line has settled."""
    owing = {n: h for n, h in state.health.items() if isinstance(h, Up) and h.owed and not h.points and state.wan_up}
    settled = state.wan_since + SETTLED
    return {n: max(settled, deaf_until(up, up.owed)) for n, up in owing.items() if up.owed}


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
