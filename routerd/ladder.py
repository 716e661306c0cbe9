"""Which transports to keep running, and which one carries new flows, given the health of all. Changes no State.

1. What is kept warm is the active transport and the next `standby` ones that are not resting.
2. More evidence to return than to leave: an earlier transport that had failed is taken back only after HOLD_DOWN
   seconds in good health.
3. A switch is no gamble: a standby whose last good probe is fresh comes before one that was well a while ago.
4. What travels inside another one runs while that one is up, and keeps it running; until then that one stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from routerd.model import Down, Health, State, Up, beneath
from routerd.settings import Settings

HOLD_DOWN = 60.0  # seconds in good health before an earlier transport is taken back
FRESH = 3.0  # seconds: while the active one is suspected its standbys are probed too, and this is how long that takes
FASTER = 0.7  # order = "fastest": another one must be this much quicker to be taken
PAGE, USUAL_RATE = 65536, 250_000  # bytes of what "fast" is about; bytes per second until it is known
LOST = 2  # times in a row that UDP or IPv6 did not come through


def wanted(settings: Settings, state: State, now: float) -> list[str]:
    """Which transports should have a child: the chosen one, healthy ones, the next in order; and one retry.

    While nothing is up, what carried the household last comes before what is listed first: a restart, or the end of an
    outage, should not begin with what is blocked here. A healthy standby is not given up to retry an earlier one: the
    retry runs beside it until it has shown itself.
    """
    stands = {e.name: needed for e in settings.enabled if (needed := _first_needed(settings, state, e.name, now))}
    listed = list(dict.fromkeys(stands.values()))
    first = stands.get((state.wish if state.wish is not None else state.active) or "")
    proven = [stands[name] for name in state.carried if name in stands] if state.active is None else []
    late = {name: -number for number, name in enumerate(reversed(proven), 1)}
    ready = sorted(
        listed, key=lambda name: (name != first, not isinstance(state.health.get(name), Up), late.get(name, 0))
    )
    warm = ready[: 1 + settings.standby]
    retry = next((name for name in listed if name not in warm), None)
    earlier = retry is not None and any(listed.index(retry) < listed.index(name) for name in warm)
    chosen = [*warm, retry] if retry is not None and earlier else warm
    return list(dict.fromkeys(n for name in chosen for n in (*beneath(settings.via, name), name)))


def _first_needed(settings: Settings, state: State, name: str, now: float) -> str | None:
    """The transport itself, or else the outermost of those that it travels inside that has yet to come up."""
    enabled = {e.name for e in settings.enabled}
    outer = beneath(settings.via, name)
    if not enabled.issuperset(outer) or any(resting(state.health.get(n), now) for n in (name, *outer)):
        return None
    return next((n for n in reversed(outer) if not isinstance(state.health.get(n), Up)), name)


def resting(health: Health | None, now: float) -> bool:
    return isinstance(health, Down) and now < health.until


def best(settings: Settings, state: State, now: float) -> str | None:
    ups = {e.name: h for e in settings.enabled if isinstance(h := state.health.get(e.name), Up)}
    if state.wish is not None:
        return state.wish if state.wish in ups else None
    active = ups.get(state.active or "")
    if active is None:
        return min(ups, key=lambda name: _rank(settings, ups, name, now)) if ups else None
    better = [name for name in ups if _is_better(settings, ups, name, state.active or "", now)]
    return min(better, key=lambda name: _rank(settings, ups, name, now)) if better else state.active


def carries(health: Health | None, what: Literal["udp", "ipv6"]) -> bool:
    """Unless it was seen not to."""
    return not isinstance(health, Up) or dict(health.lost).get(what, 0) < LOST


def _rank(settings: Settings, ups: Mapping[str, Up], name: str, now: float) -> tuple[bool, bool, float]:
    """Smaller is better. A suspect comes after all that are not."""
    up = ups[name]
    order = _seconds(up) if settings.order == "fastest" else list(ups).index(name)
    return up.points > 0, now - up.seen > FRESH, order


def _is_better(settings: Settings, ups: Mapping[str, Up], name: str, active: str, now: float) -> bool:
    """Good enough to leave a working transport for: proven for a while, and earlier listed or clearly faster."""
    up, proven = ups[name], now >= ups[name].since + HOLD_DOWN
    if name == active or up.points:
        return False
    if settings.order == "fastest":
        return proven and _seconds(up) < FASTER * _seconds(ups[active])
    return (proven or not up.failures) and list(ups).index(name) < list(ups).index(active)


def _seconds(up: Up) -> float:
    """What a page takes through it: latency and throughput in one figure."""
    return up.latency_ms / 1000 + PAGE / max(1.0, up.rate or USUAL_RATE)
