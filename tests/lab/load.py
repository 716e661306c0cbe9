"""The household's traffic, run as a program in a client's namespace: load CONFIG-JSON; writes counters until SIGTERM.

UDP to the echo service, new TCP connections (HTTP and TLS in turn), DNS questions; everything carries the canary.
"""

import asyncio
import base64
import json
import os
import signal
import socket
import ssl
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .net import SO_RCVBUFFORCE

TICK = 0.002
PACKETS_PER_SOCKET = 200  # a new source port, so that new flows keep coming
SOCKETS_KEPT = 40
TCP_TIMEOUT = 2.0
BIN_MS = 100


@dataclass(slots=True)
class Counters:
    """By kind (udp4, udp6, http, tls, dns): sent, refused by the local kernel, answered; and answers per 100 ms."""

    file: Path
    began: float = field(default_factory=time.time)
    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    refused: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    answered: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    bins: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))

    def answer(self, kind: str) -> None:
        self.answered[kind] += 1
        self.bins[kind][int((time.time() - self.began) * 1000) // BIN_MS] += 1

    def write(self) -> None:
        fields = {"began": self.began, "ended": time.time(), "sent": self.sent, "refused": self.refused,
                  "answered": self.answered, "bins": self.bins}
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(fields))
        fresh.rename(self.file)


@dataclass(slots=True)
class Sender:
    """Datagrams of one kind to some targets in turn, from ever new ports."""

    kind: str
    targets: list[tuple[str, int]]
    payload: Callable[[int], bytes]
    counters: Counters
    sockets: list[socket.socket] = field(default_factory=list)
    count: int = 0

    def send(self, packets: int) -> None:
        for _ in range(packets):
            target = self.targets[self.count % len(self.targets)]
            if self.count % PACKETS_PER_SOCKET == 0:
                self._open(socket.AF_INET6 if ":" in target[0] else socket.AF_INET)
            self.count += 1
            self.counters.sent[self.kind] += 1
            try:
                self.sockets[-1].sendto(self.payload(self.count), target)
            except OSError:  # no route, or an ICMP error of an earlier packet
                self.counters.refused[self.kind] += 1

    def _open(self, family: socket.AddressFamily) -> None:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        self.sockets.append(sock)
        asyncio.get_running_loop().add_reader(sock, self._receive, sock)
        if len(self.sockets) > SOCKETS_KEPT:
            old = self.sockets.pop(0)
            asyncio.get_running_loop().remove_reader(old)
            old.close()

    def _receive(self, sock: socket.socket) -> None:
        for _ in range(100):
            try:
                sock.recv(65535)
            except OSError:
                return
            self.counters.answer(self.kind)


@dataclass(slots=True)
class Dialler:
    """New TCP connections: a request with the canary in path and Host (http), or in the SNI as well (tls)."""

    config: dict[str, Any]
    counters: Counters
    context: ssl.SSLContext
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    count: int = 0

    def send(self, connections: int) -> None:
        for _ in range(connections):
            self.count += 1
            task = asyncio.create_task(self._one("tls" if self.count % 2 else "http"))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _one(self, kind: str) -> None:
        self.counters.sent[kind] += 1
        try:
            async with asyncio.timeout(TCP_TIMEOUT):
                await self._exchange(kind)
        except (OSError, TimeoutError, ssl.SSLError, asyncio.IncompleteReadError):
            pass

    async def _exchange(self, kind: str) -> None:
        host = f"{self.config['token']}.{self.config['site']}"
        extra: dict[str, Any] = {"ssl": self.context, "server_hostname": host} if kind == "tls" else {}
        reader, writer = await asyncio.open_connection(self.config["tcp"], 443 if kind == "tls" else 80, **extra)
        try:
            writer.write(f"GET /?{self.config['token']} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            if b" 200 " in await reader.readline():
                self.counters.answer(kind)
        finally:
            writer.transport.abort()


def question(token: str, number: int) -> bytes:
    """A DNS query for NUMBER.TOKEN.canary.example, type A."""
    labels = (str(number), token, "canary", "example")
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    return (number & 0xFFFF).to_bytes(2) + b"\1\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1"


async def pace(rate: float, send: Callable[[int], None]) -> None:
    """Call `send` with what is due, so that `rate` per second go out on average; a stall is not caught up with."""
    due, last = 0.0, time.monotonic()
    while rate > 0:
        await asyncio.sleep(max(TICK, 1 / rate))
        now = time.monotonic()
        due = min(due + (now - last) * rate, rate)
        last = now
        send(int(due))
        due -= int(due)


async def run(config: dict[str, Any]) -> None:
    counters, token = Counters(Path(config["file"])), config["token"]
    plain = f"{token} {base64.b64encode(token.encode()).decode()} ".encode()
    udp4 = Sender("udp4", [(a, p) for a, p in config["udp4"]], lambda n: plain + b"%d" % n, counters)
    udp6 = Sender("udp6", [(a, p) for a, p in config["udp6"]], lambda n: plain + b"%d" % n, counters)
    dns = Sender("dns", [(a, 53) for a in config["dns"]], lambda n: question(token, n), counters)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # load, not judgement: Pulse verifies
    dialler = Dialler(config, counters, context)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    work = [asyncio.create_task(pace(config["rates"][name], one.send)) for name, one in
            (("udp4", udp4), ("udp6", udp6), ("dns", dns), ("tcp", dialler))]
    while not stop.is_set():
        counters.write()
        try:
            await asyncio.wait_for(stop.wait(), 0.25)
        except TimeoutError:
            continue
    for task in work:
        task.cancel()
    await asyncio.sleep(config["linger"])
    counters.write()
    os._exit(0)  # pending connections need no farewell


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
