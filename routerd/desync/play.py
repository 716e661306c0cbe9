"""Plays a strategy: what to send in the place of a client's first flight. Pure, and the same for the same flight.

Whatever is played, the server's stream is the client's, byte for byte (but for the head of an HTTP request, whose
meaning stays): pieces are cut and ordered anew, never altered, and a decoy that could not be dropped is not sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from routerd.desync.decoys import decoy
from routerd.desync.fooling import fooled
from routerd.desync.hello import Said, said
from routerd.desync.packet import FIN, PSH, Packet
from routerd.desync.quic import initial
from routerd.desync.reword import reworded
from routerd.desync.steps import Around, Decoys, Disorder, Fake, Fooling, Load, Overlap, Place, Split, Strategy

LARGEST = 1400  # bytes of a segment, where nothing is known


@dataclass(frozen=True, slots=True)
class Flight:
    """`first`: a packet of the client's, whose ends, numbers and options the others get. `seq`: of the first byte.

    `size`: bytes of the largest segment that the client itself has sent.
    """

    first: Packet
    seq: int
    payload: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Path:
    """`hops`: routers between here and the server; None: not known."""

    hops: int | None


def play(strategy: Strategy, flight: Flight, path: Path) -> tuple[Packet, ...]:
    """Packets, in the order in which to send them."""
    found = said(flight.payload)
    payload = reworded(flight.payload, found, strategy)
    pieces = list(pairwise(_edges(strategy, payload, found, max(1, flight.size))))
    sent = [_segment(flight, payload, a, b) for a, b in pieces]
    if sent and (overlap := next((s for s in strategy if isinstance(s, Overlap)), None)):
        sent[0] = _overlapped(sent[0], overlap.size)
    if any(isinstance(step, Disorder) for step in strategy):
        sent.reverse()
    around = next((step.fooling for step in strategy if isinstance(step, Around)), None)
    if around is not None:
        sent = [one for segment in sent for one in _around(segment, around, path)]
    decoys = [one for step in strategy if isinstance(step, Fake) for one in _fakes(step, flight, path)]
    return (*decoys, *sent)


def play_datagrams(strategy: Strategy, packet: Packet, path: Path) -> tuple[Packet, ...]:
    """For one datagram. Decoys are for another connection: a server answers them apart, or not at all."""
    times = sum(step.times for step in strategy if isinstance(step, Decoys))
    made = (initial(packet.payload + bytes([number])) for number in range(times))
    return (*(replace(packet, payload=payload) for payload in made), packet)


def _edges(strategy: Strategy, payload: bytes, found: Said | None, size: int) -> list[int]:
    """Where pieces begin and end; none is larger than the client's own segments."""
    places = [place for step in strategy if isinstance(step, Split) for place in step.at]
    asked = {offset for place in places if (offset := _offset(place, payload, found)) is not None}
    edges = [0]
    for edge in [*sorted(asked), len(payload)]:
        while edge - edges[-1] > size:
            edges.append(edges[-1] + size)
        if edge > edges[-1]:
            edges.append(edge)
    return edges


def _offset(place: Place, payload: bytes, found: Said | None) -> int | None:
    """None where there is no such place inside the payload."""
    match place.word:
        case None:
            at = place.offset if place.offset >= 0 else len(payload) + place.offset
            return at if 0 < at < len(payload) else None
        case "sniext":
            at = found.extension if found else -1
        case "host":
            at = found.start if found else -1
        case "endhost":
            at = found.end if found else -1
        case "midsld":
            at = _middle(found) if found and found.start >= 0 else -1
    return at + place.offset if at > 0 and 0 < at + place.offset < len(payload) else None


def _middle(found: Said) -> int:
    """Of the part that was registered: `example` in www.example.com."""
    labels = found.name.split(".")
    sld = len(labels) - 2 if len(labels) > 1 else 0
    before = sum(len(label) + 1 for label in labels[:sld])
    return found.start + before + max(1, len(labels[sld]) // 2)


def _segment(flight: Flight, payload: bytes, a: int, b: int) -> Packet:
    flags = flight.first.flags | PSH if b == len(payload) else flight.first.flags & ~(PSH | FIN)
    return replace(flight.first, seq=(flight.seq + a) & 0xFFFFFFFF, payload=payload[a:b], flags=flags)


def _overlapped(first: Packet, size: int) -> Packet:
    """Bytes before the window are dropped by every receiver (RFC 9293, 3.10.7.4)."""
    return replace(first, seq=(first.seq - size) & 0xFFFFFFFF, payload=b"\0" * size + first.payload)


def _around(segment: Packet, fooling: Fooling, path: Path) -> Iterator[Packet]:
    noise = replace(segment, payload=decoy("noise", len(segment.payload), segment.seq.to_bytes(4)))
    made = fooled(noise, fooling, path.hops)
    yield from (*made, segment, *made)


def _fakes(step: Fake, flight: Flight, path: Path) -> Sequence[Packet]:
    """Each as long as the flight, in segments of its size, so that not a byte of it is seen first."""
    load = _load(step.load, flight)
    size = max(1, flight.size)
    cut = [
        replace(flight.first, seq=(flight.seq + a) & 0xFFFFFFFF, payload=load[a : a + size])
        for a in range(0, len(load), size)
    ]
    made = [one for segment in cut for one in fooled(segment, step.fooling, path.hops)]
    return made * step.times


def _load(load: Load, flight: Flight) -> bytes:
    seed = flight.seq.to_bytes(4) + flight.first.sport.to_bytes(2)
    return decoy(load, len(flight.payload), seed)
