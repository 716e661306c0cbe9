"""The kernel's own signs that a transport may be dead, from what it counts. Pure: samples in, suspicions out.

A sign makes a suspect and has it probed at once; it never leaves a transport by itself, because each of them has an
innocent reading too (a server that ends connections by reset, a household that talks to a dead host, a film that is
paused). What makes them worth having is that they cost nothing and come within a fraction of a second.

    refused   resets came in its server's name, to connections that had hardly begun (only those are counted)
    silent    its packets go out to its server, and none comes back
    mute      new connections to its server get no answer, not one of them (flows.py)
    hung      packets go into it and none comes out, or its engine leaves connections waiting
    stalled   what came in has dwindled to a trickle

Packets count, not bytes: an acknowledgement is a sign of life.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

from routerd.model import Sample, Sign

QUIET = 0.3  # seconds of silence that raise suspicion; longer where the transport's own answers take longer
ASKED = 2  # looks with packets out and none back: a lone one may be WireGuard's keep-alive, or a last acknowledgement
STUCK = 4  # packets in without one out
HELD = 0.4  # seconds for which connections wait for the engine
TRICKLE, BEFORE = 2.0, 6.0  # seconds: the rate over the last ones against the rate over those before
DWINDLED, WORTH = 0.5, 20_000  # share; bytes per second under which a drop says nothing


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of a transport's samples: since when nothing came back, nothing came out, somebody waited."""

    last: Sample
    heard: float  # when its server was last heard, or its silence began to count
    asked: int = 0  # looks since then in which packets went out
    emerged: float = 0.0  # the same for packets that should have come out
    entered: int = 0
    pushed: int = 0  # looks since then in which packets went in
    held: float | None = None
    bytes: tuple[tuple[float, int], ...] = field(default=())  # time, bytes back: of the last BEFORE + TRICKLE seconds


def begin(sample: Sample, now: float) -> Watch:
    return Watch(sample, now, emerged=now, bytes=((now, sample.down),))


def look(watch: Watch, sample: Sample, now: float, patience: float) -> tuple[Watch, Sign | None]:
    """The watch after `sample`, and the plainest sign in it. `patience`: seconds that a good answer took lately.

    "stalled" is for transports whose connections cannot be seen one by one; flows.py looks closer at the others.
    """
    if sample.entered < watch.last.entered or sample.out < watch.last.out:  # the counters were made anew
        return begin(sample, now), None
    seen = _remember(watch, sample, now)
    return seen, _sign(watch, seen, now, max(QUIET, patience))


def _remember(watch: Watch, sample: Sample, now: float) -> Watch:
    sent, entered = sample.out - watch.last.out, sample.entered - watch.last.entered
    # Silence counts from the first packet that wanted an answer. Those of a look that heard one may be older.
    heard, emerged = sample.back > watch.last.back, sent > 0
    if heard or not watch.asked:
        watch = replace(watch, heard=now, asked=0)
    if emerged or not watch.entered:
        watch = replace(watch, emerged=now, entered=0, pushed=0)
    kept = tuple(point for point in watch.bytes if point[0] >= now - BEFORE - TRICKLE)
    return replace(
        watch,
        last=sample,
        asked=watch.asked + (sent > 0 and not heard),
        entered=watch.entered + (0 if emerged else entered),
        pushed=watch.pushed + (entered > 0 and not emerged),
        held=held_since(watch.held, watch.last, sample, now),
        bytes=(*kept, (now, sample.down)),
    )


def held_since(held: float | None, before: Sample, sample: Sample, now: float) -> float | None:
    """Since when connections wait and none is taken. On a busy box some always do, but not the same ones."""
    if not sample.backlog or sample.backlog < before.backlog:
        return None
    return now if held is None else held


def _sign(before: Watch, watch: Watch, now: float, quiet: float) -> Sign | None:
    if watch.last.resets > before.last.resets:
        return "refused"
    if watch.held is not None and now - watch.held >= HELD:
        return "hung"
    if watch.entered >= STUCK and watch.pushed >= ASKED and now - watch.emerged >= quiet:
        return "hung"
    if watch.asked >= ASKED and now - watch.heard >= quiet:
        return "silent"
    return "stalled" if _dwindled(watch.bytes, now) else None


def _dwindled(points: Iterable[tuple[float, int]], now: float) -> bool:
    """Less than a share of what came before, for a while, and no pause before that either: a steady flow that broke."""
    steps = [(b[0], b[1] - a[1], b[0] - a[0]) for a, b in pairwise(points)]
    late = sum(size for at, size, _ in steps if at > now - TRICKLE)
    early = [(size, took) for at, size, took in steps if at <= now - TRICKLE]
    span = sum(took for _, took in early)
    if span < BEFORE - TRICKLE:
        return False
    rate = sum(size for size, _ in early) / span
    return rate >= WORTH and late / TRICKLE < DWINDLED * rate
