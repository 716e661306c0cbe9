"""The two half-packets under way, one each way: a fragment at a time, acknowledged in the header of the next.

The server keeps one question in hand (lazy mode) to answer with.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from routerd.host.dnstunnel.line import Line, Refused
from routerd.host.dnstunnel.login import Session
from routerd.host.dnstunnel.writing import BASE32, PREFIX, base32, inflated, room

IDLE, AGAIN, SOON = 4.0, 1.0, 0.02  # seconds
TRIES = 4  # of one upstream fragment; then TCP sends its packet again


@dataclass(slots=True)
class Tunnel:
    """The two half-packets under way. Pure but for `line.send`."""

    line: Line
    session: Session
    packet: bytes = b""
    at: int = 0
    sent: int = 0
    sequence: int = 0
    fragment: int = 0
    tries: int = 0
    down_sequence: int = 0
    down_fragment: int = 0
    down: bytearray = field(default_factory=bytearray)
    datum: int = 0
    ping_at: float = 0.0
    again_at: float = 0.0
    heard: float = 0.0

    def put(self, packet: bytes) -> None:
        """A packet from this side; what was under way is given up."""
        self.packet = zlib.compress(PREFIX + packet, 9)
        self.at, self.fragment, self.tries, self.sequence = 0, 0, 0, self.sequence + 1 & 7
        self.send_fragment()

    def send_fragment(self) -> None:
        part = self.packet[self.at : self.at + room(self.line.domain)]
        self.sent = len(part)
        last = self.at + self.sent == len(self.packet)
        header = (self.sequence << 2 | self.fragment >> 2,
                  (self.fragment & 3) << 3 | self.down_sequence, self.down_fragment << 1 | last)  # fmt: skip
        once = (BASE32 + "6789")[self.datum]
        self.datum = (self.datum + 1) % 36
        self.line.send(f"{self.session.user & 15:x}{''.join(BASE32[five & 31] for five in header)}{once}{base32(part)}")
        self.ping_at = self.again_at = time.monotonic() + AGAIN

    def ping(self) -> None:
        seen = self.down_sequence << 4 | self.down_fragment
        self.line.send("p" + base32(bytes([self.session.user, seen]) + self.line.miss))
        self.ping_at = max(self.again_at, time.monotonic()) if self.packet else time.monotonic() + IDLE

    def due(self) -> None:
        """Nothing came in time."""
        if not self.packet or time.monotonic() < self.again_at:
            self.ping()
        elif (tries := self.tries + 1) < TRIES:
            self.tries = tries
            self.send_fragment()
        else:
            self.packet = b""
            self.ping()

    def take(self, number: int, data: bytes) -> Iterator[bytes]:
        """What an answer brings: whole packets for this side. Raises Refused when the server does not know us."""
        if data[:5] == b"BADIP":
            raise Refused("the server has forgotten us")
        if len(data) < 2 or number not in self.line.ids:
            self.sooner(0.5)
            return
        self.heard, self.ping_at = time.monotonic(), max(self.ping_at, time.monotonic())
        before = (self.line.ids, self.down_sequence, self.down_fragment)
        yield from self._down(data[1] >> 5 & 7, data[1] >> 1 & 15, bool(data[1] & 1), data[2:])
        if self.packet and (data[0] >> 4 & 7, data[0] & 15) == (self.sequence, self.fragment):
            self.at, self.tries = self.at + self.sent, 0
            if self.at >= len(self.packet):
                self.packet = b""
                self.sooner(SOON)
            else:
                self.fragment = self.fragment + 1 & 15
                self.send_fragment()
        elif number == self.line.ids[-1]:  # the server holds no question to answer with
            self.sooner(0.9)
        if self.line.ids is before[0] and self.down and before[1:] != (self.down_sequence, self.down_fragment):
            self.ping()  # there is more of this packet

    def _down(self, sequence: int, fragment: int, last: bool, data: bytes) -> Iterator[bytes]:
        recent = (self.down_sequence - sequence) & 7 < 4
        if sequence != self.down_sequence:
            if recent:  # an old one, again
                self.sooner(0.5)
                return
            self.down.clear()
            self.down_sequence, self.down_fragment = sequence, fragment
            if not data:
                self.sooner(0.5)
                return
        elif not data:
            return
        elif fragment != self.down_fragment + 1 and (fragment or self.down_fragment or self.down):
            self.sooner(0.5)
            return
        self.down_fragment = fragment
        self.down += data
        if last:
            if packet := inflated(bytes(self.down)):
                yield packet
            self.down.clear()
            self.sooner(0.005)  # what it brought is probably answered at once

    def sooner(self, seconds: float) -> None:
        self.ping_at = min(self.ping_at, time.monotonic() + seconds)
