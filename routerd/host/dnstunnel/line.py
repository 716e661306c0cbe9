"""Questions to one resolver, by UDP, each of them a new one; and the wait for its answer."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time
from dataclasses import dataclass, field

import dns.message
import dns.rdatatype

from routerd.host.dnstunnel.writing import BASE32, LARGEST, answer_of, dotted

ANSWER = 4096  # bytes, EDNS: what a resolver may send us
BLOCK = struct.Struct(">H")
PATIENCE = (1.0, 1.0, 2.0, 3.0)  # seconds for each try of a question


class Refused(Exception):
    """The server, or a resolver on the way, said no; the message is for the owner."""


@dataclass(slots=True)
class Line:
    """Questions by UDP to one resolver."""

    sock: socket.socket
    domain: str
    ids: list[int] = field(default_factory=list)
    counter: int = field(default_factory=lambda: random.randrange(1 << 15))

    def send(self, text: str) -> int:
        question = dns.message.make_query(dotted(text, self.domain), dns.rdatatype.TXT, use_edns=0, payload=ANSWER)
        question.id = random.randrange(1, 1 << 16)
        self.ids = [*self.ids[-2:], question.id]
        with contextlib.suppress(OSError):  # the line is down, or the way out is not there yet: it is asked again
            self.sock.send(question.to_wire())
        return question.id

    def receive(self) -> tuple[int, bytes] | None:
        try:
            return answer_of(self.sock.recv(LARGEST))
        except OSError:  # an ICMP error
            return None

    @property
    def miss(self) -> bytes:
        """Two bytes that make each question a new one, or a resolver would answer it from its memory."""
        self.counter = (self.counter + 1) & 0x7FFF
        return BLOCK.pack(self.counter)

    @property
    def miss3(self) -> str:
        number = BLOCK.unpack(self.miss)[0]
        return "".join(BASE32[number >> shift & 31] for shift in (10, 5, 0))

    def ask(self, text: str, tries: int = 0) -> bytes:
        """Until there is an answer; `tries`: so many times, and then an empty one. `text` may hold {} for `miss3`."""
        number = 0
        while not tries or number < tries:
            wanted = self.send(text.format(self.miss3))
            end = time.monotonic() + PATIENCE[min(number, len(PATIENCE) - 1)]
            while (left := end - time.monotonic()) > 0:
                self.sock.settimeout(left)
                if (found := self.receive()) and found[0] == wanted:
                    return found[1]
            number += 1
        return b""
