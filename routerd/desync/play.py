"""scaffold"""

from __future__ import annotations
from dataclasses import dataclass, replace
from routerd.desync.hello import hello, request
from routerd.desync.packet import Packet
from routerd.desync.steps import Strategy


@dataclass(frozen=True, slots=True)
class Flight:
    first: Packet
    seq: int
    payload: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Path:
    hops: int | None


def play(strategy: Strategy, flight: Flight, path: Path) -> tuple[Packet, ...]:
    p = flight.payload
    found = hello(p) or request(p)
    cuts = [0]
    if strategy and found and found.start > 0:
        cuts += [1, (found.start + found.end) // 2]
    at, pieces = 0, []
    edges = sorted({*cuts, *range(0, len(p), flight.size), len(p)})
    for a, b in zip(edges, edges[1:]):
        pieces.append(replace(flight.first, seq=(flight.seq + a) & 0xFFFFFFFF, payload=p[a:b]))
    if strategy and strategy[0] == "disorder":
        pieces.reverse()
    if strategy and strategy[0].startswith("fake"):
        f = replace(pieces[0], payload=b"\0" * flight.size)
        f = replace(f, bad_checksum=True) if "badsum" in strategy[0] else replace(f, ttl=path.hops or 3)
        pieces.insert(0, f)
    return tuple(pieces)


def play_datagrams(strategy: Strategy, packet: Packet, path: Path) -> tuple[Packet, ...]:
    return (packet,)
