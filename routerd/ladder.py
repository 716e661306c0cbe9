"""Which transports to keep running, and which one carries new flows, given the health of all. Changes no State.

A rung is a transport, or a whole subscription: of that one its best few nodes (search.py finds them).

1. What is kept warm is the active rung and the next `standby` ones that are not resting.
2. More evidence to return than to leave: an earlier transport that had failed is taken back only after HOLD_DOWN
   seconds in good health.
3. A switch is no gamble: a standby whose last good probe is fresh comes before one that was well a while ago.
4. What travels inside another one runs while that one is up, and keeps it running; until then that one stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from routerd import search
from routerd.model import Health, State, Up, beneath
from routerd.search import resting, seconds
from routerd.settings import Settings

HOLD_DOWN = 60.0  # seconds in good health before an earlier transport is taken back
FRESH = 3.0  # seconds: while the active one is suspected its standbys are probed too, and this is how long that takes
FASTER = 0.7  # order = "fastest": another one must be this much quicker to be taken
MOST = 7  # transports that run at once: with the resolver, eight engines
LOST = 2  # times in a row that UDP or IPv6 did not come through


def wanted(settings: Settings, state: State, now: float) -> list[str]:
    """Which transports should have a child: the chosen one, healthy ones, the next in order; and one retry.

    While nothing is up, what carried the household last comes before what is listed first: a restart, or the end of an
    outage, should not begin with what is blocked here. A healthy standby is not given up to retry an earlier one: the
    retry runs beside it until it has shown itself.
    """
    stands = _stands(settings, state, now)
    listed = _rungs(settings, state, stands, now)
    first = stands.get(chosen := (state.wish if state.wish is not None else state.active) or "", chosen)
    proven = [stands.get(name, name) for name in state.carried] if state.active is None else []
    late = {name: -number for number, name in enumerate(reversed(proven), 1)}
    ready = sorted(
        listed,
        key=lambda rung: (first not in rung, not _any_up(state, rung), min(late.get(name, 0) for name in rung)),
    )
    warm = ready[: 1 + settings.standby]
    retry = next((rung for rung in listed if rung not in warm), None)
    earlier = retry is not None and any(listed.index(retry) < listed.index(rung) for rung in warm)
    via = settings.via
    names = [name for rung in ([*warm, retry] if retry is not None and earlier else warm) for name in rung]
    running = dict.fromkeys(n for name in names for n in (*beneath(via, name), name))
    leading = (first, *beneath(via, first))
    return sorted(running, key=lambda name: (name not in leading, not isinstance(state.health.get(name), Up)))[:MOST]


def _stands(settings: Settings, state: State, now: float) -> Mapping[str, str]:
    """Of each transport of the file that does not rest: itself, or the outermost of those that it travels inside that
    has yet to come up."""
    enabled, via = {e.name for e in settings.enabled if not e.group}, settings.via
    found = {}
    for name in (e.name for e in settings.enabled if not e.group):
        outer = beneath(via, name)
        if enabled.issuperset(outer) and not any(resting(state.health.get(n), now) for n in (name, *outer)):
            found[name] = next((n for n in reversed(outer) if not isinstance(state.health.get(n), Up)), name)
    return found


def _rungs(settings: Settings, state: State, stands: Mapping[str, str], now: float) -> list[tuple[str, ...]]:
    """In the order of the file, without those that rest. What everybody has comes last."""
    listed = [(name,) for name in dict.fromkeys(stands.values())]
    groups = [rung for group in settings.subscriptions if (rung := search.offered(settings, state, group, now))]
    return [*groups, *listed] if settings.own_ladder else [*listed, *groups]


def _any_up(state: State, rung: tuple[str, ...]) -> bool:
    return any(isinstance(state.health.get(name), Up) for name in rung)


def best(settings: Settings, state: State, now: float) -> str | None:
    ups = {e.name: h for e in settings.enabled if isinstance(h := state.health.get(e.name), Up)}
    if state.wish is not None:
        return state.wish if state.wish in ups else None
    active = ups.get(state.active or "")
    if active is None:
        return min(ups, key=lambda name: _rank(settings, ups, name, now)) if ups else None
    better = [name for name in ups if _is_better(settings, ups, name, state.active or "", now)]
    return min(better, key=lambda name: _rank(settings, ups, name, now)) if better else state.active


def served_without(state: State, name: str) -> bool:
    """Whether another one that is up, and goes without this one, may carry the household."""
    ups = [other for other, h in state.health.items() if isinstance(h, Up) and state.wish in (None, other)]
    return any(name not in (other, *state.beneath(other)) for other in ups)


def carries(health: Health | None, what: Literal["udp", "ipv6"]) -> bool:
    """Unless it was seen not to."""
    return not isinstance(health, Up) or dict(health.lost).get(what, 0) < LOST


def _rank(settings: Settings, ups: Mapping[str, Up], name: str, now: float) -> tuple[bool, bool, int, float]:
    """Smaller is better. A suspect comes after all that are not. Within a subscription the quickest comes first."""
    up = ups[name]
    fastest, group = settings.order == "fastest", settings.transports[name].group
    place = 0 if fastest else _places(settings, ups)[group or name]
    return up.points > 0, now - up.seen > FRESH, place, seconds(up) if fastest or group else 0.0


def _places(settings: Settings, ups: Mapping[str, Up]) -> Mapping[str, int]:
    """The number of each rung that is up."""
    rungs = dict.fromkeys(settings.transports[name].group or name for name in ups)
    return {rung: number for number, rung in enumerate(rungs)}


def _is_better(settings: Settings, ups: Mapping[str, Up], name: str, active: str, now: float) -> bool:
    """Good enough to leave a working transport for: proven for a while, and earlier listed or clearly faster."""
    up, proven = ups[name], now >= ups[name].since + HOLD_DOWN
    if name == active or up.points:
        return False
    here, there = (settings.transports[one].group or one for one in (active, name))
    if settings.order == "fastest" or here == there:
        return proven and seconds(up) < FASTER * seconds(ups[active])
    places = _places(settings, ups)
    return (proven or not up.failures) and places[there] < places[here]
