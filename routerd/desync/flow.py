"""A flow whose client has begun to speak: what it said, what is held of it, what was told of it. In memory alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from routerd.desync.packet import ACK, SYN, TCP, Packet
from routerd.desync.stream import Stream

Kind = Literal["tls", "http", "quic"]
Sign = Literal["heard", "reset", "silent", "slow", "stalled", "forged", "unanswered"]
Key = tuple[int, bytes, int, bytes, int]  # the protocol; the client's address and port, the server's


@dataclass(frozen=True, slots=True)
class Ask:
    """Whose strategy is asked for. `host`: as the client said it, or the server's address. `trial`: a search's own."""

    kind: Kind
    host: str
    address: bytes
    trial: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A packet that waits for its verdict. `number`: the queue's. `mark`: its own."""

    number: int
    mark: int
    packet: Packet


@dataclass(slots=True)
class Flow:
    """`said`: what the client's first flight was. `held`: packets without a verdict."""

    at: float
    start: int | None = None  # seq of its first byte
    stream: Stream | None = None
    held: list[Held] = field(default_factory=list)
    first: Packet | None = None
    datagrams: list[Packet] = field(default_factory=list)
    size: int = 0
    hops: int | None = None
    far: int | None = None  # the hop limit that the server's first packet came with
    last: int | None = None  # the number of its last words
    ends: int = 0  # times that the client has said that it has no more to say
    again: int = 0  # times that it has said them since
    ask: Ask | None = None
    said: bytes = b""
    settled: bool = False
    played: bool = False
    heard: bool = False
    closed: bool = False  # by the client: what the server resets then is its own affair
    told: bool = False  # of one failure
    repeats: int = 0

    def opened_anew_by(self, packet: Packet) -> bool:
        """A SYN that is not the one of before, said again."""
        if packet.proto != TCP or packet.flags & (SYN | ACK) != SYN:
            return False
        return self.start != (packet.seq + 1) & 0xFFFFFFFF or self.stream is not None
