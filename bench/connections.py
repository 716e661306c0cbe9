"""A program for the phone: opens connections one after the other for a while, prints how many pages came whole.

    python -m bench.connections ADDRESS WORKERS SECONDS

One thread and epoll: asyncio's streams would cost more than what is measured.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from dataclasses import dataclass, field

REQUEST = b"GET /generate_204 HTTP/1.1\r\nHost: blocked.example\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Talk:
    """What is said on a connection, how a good answer begins, and what it has in it when it is whole."""

    port: int
    request: bytes
    good: bytes
    end: bytes


PAGE = Talk(80, REQUEST, b"HTTP/1.1 204", b"\r\n\r\n")  # no body; Xray servers hold a site's FIN back for a second


@dataclass(slots=True)
class Workers:
    """`count` connections under way at any time; each ends with its answer, and the next one begins."""

    address: str
    count: int
    talk: Talk = PAGE
    poll: select.epoll = field(default_factory=select.epoll)
    open: dict[int, tuple[socket.socket, bytearray]] = field(default_factory=dict)
    good: int = 0
    bad: int = 0

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for _ in range(self.count):
            self._begin()
        while time.monotonic() < end:
            for number, event in self.poll.poll(0.2):
                self._step(number, event)

    def _begin(self) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.connect_ex((self.address, self.talk.port))
        self.open[sock.fileno()] = (sock, bytearray())
        self.poll.register(sock.fileno(), select.EPOLLOUT)

    def _step(self, number: int, event: int) -> None:
        sock, answer = self.open[number]
        try:
            if event & select.EPOLLOUT and not answer:
                sock.send(self.talk.request)
                self.poll.modify(number, select.EPOLLIN)
            else:
                data = sock.recv(4096)
                answer += data
                if not data or self.talk.end in answer:
                    self._end(number)
        except OSError:
            self._end(number)

    def _end(self, number: int) -> None:
        sock, answer = self.open.pop(number)
        self.poll.unregister(number)
        sock.close()
        if answer.startswith(self.talk.good):
            self.good += 1
        else:
            self.bad += 1
        self._begin()


def main() -> None:
    address, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    workers = Workers(address, count)
    began = time.monotonic()
    workers.run(seconds)
    print(workers.good / (time.monotonic() - began), workers.bad)


if __name__ == "__main__":
    main()
