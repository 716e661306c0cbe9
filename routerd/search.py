"""Which nodes of a subscription run: its quickest few, and those that are being tried. Changes no State.

A bounded search, docs/decisions/0016: nobody connects to hundreds of servers at once. A few nodes at a time are started
and probed as any transport is; one look must do. It ends when twice as many as are kept have carried a probe; the
quickest of these are kept, the others stopped, and remembered for the day when one of the kept ones fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from routerd.model import Down, Health, Starting, State, Up
from routerd.settings import Entry, Settings

HASTE, CALMLY = 4, 3  # nodes that are tried at once: while nothing carries the household, and while something does
AGAIN = 60.0  # seconds between tries where every node has been tried, while something carries the household
SAMPLE = 2  # times as many as are kept
PAGE, USUAL_RATE = 65536, 250_000  # bytes of what "fast" is about; bytes per second until it is known


def offered(settings: Settings, state: State, group: str, now: float) -> tuple[str, ...]:
    """The nodes of `group` that should run if it is one of the warm rungs; the active one before all others."""
    nodes = [entry for entry in settings.enabled if entry.group == group]
    keep = settings.subscriptions[group].keep
    ups = {e.name: h for e in nodes if isinstance(h := state.health.get(e.name), Up)}
    chosen = (state.wish, state.active)
    kept = sorted(ups, key=lambda name: (name not in chosen, ups[name].points > 0, seconds(ups[name])))[:keep]
    asked = [e.name for e in nodes if e.name == state.wish not in kept and not resting(state.health.get(e.name), now)]
    others = [e for e in nodes if e.name not in (*ups, *asked)]
    return (*kept, *asked, *_tried(others, state, group, keep, keep - len(kept), now))


def _tried(nodes: Sequence[Entry], state: State, group: str, keep: int, missing: int, now: float) -> list[str]:
    """`missing`: how many more should be kept. What is under way comes first, then what is known to work."""
    under_way = [e.name for e in nodes if isinstance(state.health.get(e.name), Starting)]
    known = sorted((e.name for e in nodes if _is_known(state, e)), key=lambda name: state.measured[name])[:missing]
    fresh = [e for e in nodes if e.name not in state.health and e.name not in state.measured]
    enough = len([n for n in state.measured if n.startswith(f"{group}/")]) >= SAMPLE * keep
    if missing <= 0 and (enough or not (fresh or under_way)):
        return []
    looked = [*under_way, *known]
    if not enough or len(looked) < missing:
        looked += [e.name for e in _hopeful(nodes, fresh, state)]
    if missing > 0 and (not looked or not _served(state)):
        looked += _again(nodes, state, group, now)
    return looked[: CALMLY if _served(state) else HASTE]


def _hopeful(nodes: Sequence[Entry], fresh: Sequence[Entry], state: State) -> list[Entry]:
    """What carried the household before a restart comes first, what shares a server with one that failed last."""
    failed = Counter(e.transport.server for e in nodes if isinstance(state.health.get(e.name), Down))
    return sorted(fresh, key=lambda e: (e.name not in state.carried, failed[e.transport.server]))


def _again(nodes: Sequence[Entry], state: State, group: str, now: float) -> list[str]:
    """All have been tried. While something else carries the household one of them is knocked at now and then."""
    rested = [(h.failures, h.until, e.name) for e in nodes if isinstance(h := state.health.get(e.name), Down)]
    names = [name for _, until, name in sorted(rested) if until <= now]
    if not _served(state):
        return names
    return names[:1] if now >= state.looked.get(group, float("-inf")) + AGAIN else []


def _is_known(state: State, entry: Entry) -> bool:
    return entry.name in state.measured and entry.name not in state.health


def _served(state: State) -> bool:
    return any(isinstance(health, Up) for health in state.health.values())


def seconds(up: Up) -> float:
    """What a page takes through it: latency and throughput in one figure."""
    return up.latency_ms / 1000 + PAGE / max(1.0, up.rate or USUAL_RATE)


def resting(health: Health | None, now: float) -> bool:
    return isinstance(health, Down) and now < health.until
