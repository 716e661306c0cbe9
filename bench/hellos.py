"""Programs for the bench of desync: connections on port 443 that begin with a real ClientHello, and what answers them.

    python -m bench.hellos answer ADDRESS...       on the sites' machine: a few bytes for each whole hello
    python -m bench.hellos time COUNT ADDRESS...   on the phone: to each address in turn; seconds to the first answer
    python -m bench.hellos rate ADDRESS WORKERS SECONDS    on the phone: answers per second, and how many failed
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bench.connections import Talk, Workers

PORT = 443
NAME = "blocked.example"
ANSWER = bytes.fromhex("15030300020228")  # an alert, handshake_failure: as little as a server can say to a hello
PAUSE = 0.001  # seconds between two timed connections: the end of one does not meet the beginning of the next


def hello(name: str = NAME) -> bytes:
    """The first flight of this machine's own TLS."""
    context, out = ssl.create_default_context(), ssl.MemoryBIO()
    context.set_alpn_protocols(["h2", "http/1.1"])
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
    raise AssertionError("a handshake without a server")


@dataclass(slots=True)
class Answers:
    """A server of one thread: it never looks at what a hello says, only whether it is whole."""

    addresses: Sequence[str]
    poll: select.epoll = field(default_factory=select.epoll)
    listening: dict[int, socket.socket] = field(default_factory=dict)
    open: dict[int, tuple[socket.socket, bytearray]] = field(default_factory=dict)

    def run(self) -> None:
        for address in self.addresses:
            sock = socket.create_server((address, PORT), backlog=4096)
            sock.setblocking(False)
            self.listening[sock.fileno()] = sock
            self.poll.register(sock.fileno(), select.EPOLLIN)
        while True:
            for number, _ in self.poll.poll():
                if number in self.listening:
                    self._accept(self.listening[number])
                else:
                    self._read(number)

    def _accept(self, listening: socket.socket) -> None:
        try:
            while True:
                sock, _ = listening.accept()
                sock.setblocking(False)
                self.open[sock.fileno()] = (sock, bytearray())
                self.poll.register(sock.fileno(), select.EPOLLIN)
        except BlockingIOError:
            return

    def _read(self, number: int) -> None:
        sock, got = self.open[number]
        try:
            data = sock.recv(4096)
            got += data
            if data and whole(got):
                sock.send(ANSWER)
        except OSError:
            data = b""
        if not data:
            del self.open[number]
            self.poll.unregister(number)
            sock.close()


def whole(data: bytes | bytearray) -> bool:
    """Whether one TLS record is all there (RFC 8446, 5.1)."""
    return len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[3:5])


def timed(count: int, addresses: Sequence[str]) -> list[list[float]]:
    """For each address, from before connect() to the first bytes of the answer, `count` times."""
    first = hello()
    taken: list[list[float]] = [[] for _ in addresses]
    for turn in range(count):
        # A fixed order would give each address the same neighbour before it.
        for number, address in list(enumerate(addresses))[:: 1 if turn % 2 else -1]:
            taken[number].append(_once(address, first))
            time.sleep(PAUSE)
    return taken


def _once(address: str, first: bytes) -> float:
    began = time.perf_counter()
    with socket.create_connection((address, PORT), timeout=5) as sock:
        sock.sendall(first)
        if not sock.recv(64):
            raise ConnectionError(f"{address} hung up")
        return time.perf_counter() - began


def rate(address: str, count: int, seconds: float) -> tuple[float, int, int]:
    """Answers per second; connections that were answered, and that failed."""
    workers = Workers(address, count, Talk(PORT, hello(), ANSWER, ANSWER))
    began = time.monotonic()
    workers.run(seconds)
    return workers.good / (time.monotonic() - began), workers.good, workers.bad


def main(words: Iterator[str]) -> None:
    programs: dict[str, Callable[[], object]] = {
        "answer": lambda: Answers(tuple(words)).run(),
        "time": lambda: timed(int(next(words)), tuple(words)),
        "rate": lambda: rate(next(words), int(next(words)), float(next(words))),
    }
    print(json.dumps(programs[next(words)]()))


if __name__ == "__main__":
    main(iter(sys.argv[1:]))
