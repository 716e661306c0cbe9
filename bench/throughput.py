"""Two ways take turns: ours, theirs, theirs, ours, ... Each turn is one sample of each."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import comb

from bench import cores, ways
from bench.load import CONNECTIONS, KINDS, OVER_TCP, TCP_DOWN, TCP_UP, UDP_UP, Kind, measure
from bench.report import Row, Samples
from bench.ways import Way
from routerd.links import parse
from tests.lab import Host, Lab, LabError
from tests.lab.box import Box

TRANSPORTS = ("ss2022", "trojan", "wireguard")
INFORMATIVE = (TCP_DOWN, TCP_UP, UDP_UP, CONNECTIONS)
SETTLE = 0.3  # seconds: what is still in the queues of the turn before drains


@dataclass(frozen=True, slots=True)
class Effort:
    """`turns` samples of `seconds` each, and up to `most` while it is not clear on which side of its floor a ratio is.

    Many short turns: what disturbs one seldom disturbs its neighbour less.
    """

    turns: int
    seconds: int
    most: int


def rows(lab: Lab, box: Box, effort: Effort, only: tuple[str, ...] = ()) -> Iterator[Row]:
    """Each transport of ours against the same engine by hand; then what else there is, for orientation.

    `only`: any of the lab's servers, in place of all this.
    """
    lab.iperf_server()
    ways.open_ports(lab.net.hosts.values())
    for number, transport in enumerate(only or TRANSPORTS, 1):
        pair = ways.ours(lab, box, transport), ways.bare(lab, number, transport)
        cores.apart(lab, [way.router for way in pair])
        carries = parse(lab.server(transport).link).transport.carries
        for kind in KINDS if carries.udp else OVER_TCP:
            yield from _row(lab.phone, kind, *pair, effort, kind.floor)
        yield from _row(lab.phone, TCP_DOWN, pair[1], pair[1], effort, None)  # what this machine's noise is worth
    if only:
        return
    others: tuple[Callable[[], Way], ...] = (lambda: ways.tun(lab, 11, "ss2022"), lambda: ways.plain(lab, 12))
    for make in others:
        yield from _informative(lab, box, make, effort)


def _informative(lab: Lab, box: Box, make: Callable[[], Way], effort: Effort) -> Iterator[Row]:
    try:
        other = make()
    except LabError as e:
        print(f"not measured: {e}", file=sys.stderr, flush=True)
        return
    way = ways.ours(lab, box, "ss2022")
    cores.apart(lab, [way.router, other.router])
    for kind in INFORMATIVE:
        yield from _row(lab.phone, kind, way, other, effort, None)


def _row(phone: Host, kind: Kind, a: Way, b: Way, effort: Effort, floor: float | None) -> Iterator[Row]:
    try:
        measured, base = take_turns(phone, kind, a, b, effort, floor)
    except (LabError, subprocess.TimeoutExpired) as e:
        print(f"not measured: {a.name} and {b.name}: {kind.name}: {e}", file=sys.stderr, flush=True)
        return
    against = "itself" if a is b else b.name.split(",")[0]
    yield Row(f"{kind.name}: {a.name} / {against}", measured, base, floor=floor)


def take_turns(
    phone: Host, kind: Kind, a: Way, b: Way, effort: Effort, floor: float | None
) -> tuple[Samples, Samples]:
    """Samples in the order of the turns, so that the n-th of both are neighbours in time."""
    pair, offered = ((a, list[float]()), (b, list[float]())), 0.0
    if kind.more:
        b.take()
        offered = kind.more * measure(phone, kind, effort.seconds)
    for turn in range(effort.most if floor else effort.turns):
        if turn >= effort.turns and clear([x / y for x, y in zip(pair[0][1], pair[1][1], strict=True)], floor or 0):
            break
        for way, values in pair if turn % 2 == 0 else pair[::-1]:
            way.take()
            time.sleep(SETTLE)
            values.append(measure(phone, kind, effort.seconds, offered))
    ours, theirs = (Samples(kind.unit, tuple(values)) for _, values in pair)
    return ours, theirs


def clear(ratios: list[float], floor: float) -> bool:
    """Whether the median lies on one side of `floor`, with 90 % confidence (by the binomial distribution of ranks)."""
    ordered, n = sorted(ratios), len(ratios)
    rank = next(k for k in range(n) if sum(comb(n, i) for i in range(k + 1)) > 0.05 * 2**n)
    return ordered[rank] >= floor or ordered[-1 - rank] < floor
