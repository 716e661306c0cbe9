"""Every strategy, played against this kernel's own TCP: what its server reads is what the client sent.

The test is the client, on the far end of a tun, with the worker's eye (Young) and some routers between. Linux' drops are
what desync/fooling.py claims; a control shows that the same decoys are taken where nothing makes them drop.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from routerd.desync.grammar import DROPS, parse as strategy
from routerd.desync.packet import ACK, PSH, RST, SYN, TCP, Packet, build, parse
from routerd.desync.play import Flight, Path, play
from routerd.desync.prior import HTTP, TLS
from routerd.desync.steps import Strategy
from routerd.desync.outcome import ACCEPT
from routerd.desync.young import Young
from tests.host.namespace import alone, sh
from tests.unit.test_desync_packet import real_hello
from tests.unit.test_desync_wire import REQUEST, meaning

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
HOPS = 5  # routers between the box and the server
SIDES = {4: ("192.168.77.7", "198.51.100.10"), 6: ("fd77:77:77::7", "2001:db8::10")}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
PORT, TIMES = 443, 6
NAME = "www.blocked.example"
HELLO = real_hello(NAME)  # made once: OpenSSL reads all its roots for it
STAMP = 0x2000
LONG = 3.0  # seconds for one connection
BYTES_RECEIVED, OUT_OF_ORDER = 128, 224  # in struct tcp_info (linux/tcp.h)

FOOLED = [
    f"{step}{rest}" for drop in DROPS for step, rest in ((f"fake(hello,{drop})", ""), (f"around({drop})", " split(1,midsld) disorder"), (f"fake(noise,{drop},x3)", " split(5) disorder"))
]  # fmt: skip


@dataclass(slots=True)
class Wire:
    """The tun's far end, and the server behind its near one."""

    tun: int
    server: socket.socket
    family: int
    count: int = 0

    @property
    def ends(self) -> tuple[bytes, bytes]:
        client, server = (socket.inet_pton(FAMILIES[self.family], each) for each in SIDES[self.family])
        return client, server

    def send(self, packet: Packet) -> None:
        """Over the routers, each of which takes one of its hop limit."""
        if packet.ttl > HOPS:
            os.write(self.tun, build(replace(packet, ttl=packet.ttl - HOPS)))

    def heard(self, port: int, seconds: float) -> Iterator[Packet]:
        """What the server says to this port, until it says nothing for so long."""
        while select.select([self.tun], [], [], seconds)[0]:
            packet = parse(os.read(self.tun, 65536))
            if packet and packet.proto == TCP and packet.dport == port:
                yield replace(packet, ttl=packet.ttl - HOPS)


def wire(family: int) -> Wire:
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN | IFF_NO_PI))
    client, at = SIDES[family]
    sh(f"ip addr add {at} dev tun0 {'nodad' if family == 6 else ''}; ip link set tun0 up; ip -{family} route add {client} dev tun0")
    server = socket.create_server((at, PORT), family=FAMILIES[family], backlog=64)
    server.settimeout(LONG)
    return Wire(tun, server, family)


@dataclass(slots=True)
class Client:
    """One connection. `acked`: bytes of `says` that the server has; `stamps`: whether both sides use timestamps."""

    wire: Wire
    says: bytes
    draw: random.Random
    eye: Young
    stamps: bool = True
    port: int = 0
    first: int = 0
    theirs: int = 0
    echo: int = 0
    acked: int = 0
    number: int = 0
    held: dict[int, Packet] = field(default_factory=dict)
    out: list[Packet] = field(default_factory=list)

    def packet(self, flags: int, payload: bytes = b"", at: int = 0, options: bytes = b"") -> Packet:
        if self.stamps:
            options += bytes([1, 1, 8, 10]) + (STAMP + self.number).to_bytes(4) + self.echo.to_bytes(4)
        seq, ack = (self.first + at) & 0xFFFFFFFF, self.theirs if flags & ACK else 0
        return Packet(*self.wire.ends, TCP, self.port, PORT, payload, seq, ack, flags, 65535, 63, options)

    def connect(self) -> socket.socket:
        self.wire.count += 1
        self.port, self.first = 20000 + self.wire.count, self.draw.randrange(1 << 32)
        self.say(self.packet(SYN, options=bytes([2, 4, 5, 120])))
        answer = next(self.wire.heard(self.port, LONG))
        assert answer.flags & (SYN | ACK | RST) == SYN | ACK
        if self.stamps:
            self.echo = int.from_bytes(answer.options[answer.options.index(b"\x08\x0a") + 2 :][:4])
        self.see(answer, local=True)
        self.first, self.theirs = (self.first + 1) & 0xFFFFFFFF, (answer.seq + 1) & 0xFFFFFFFF
        self.say(self.packet(ACK))
        return self.wire.server.accept()[0]

    def say(self, packet: Packet) -> None:
        self.see(packet)
        self.flush()

    def see(self, packet: Packet, *, local: bool = False) -> None:
        self.number += 1
        self.held[self.number] = packet if not local else replace(packet, ttl=0)
        self.eye.take(self.number, 0, parse(build(packet)), local, time.monotonic())

    def flush(self) -> None:
        """What was put in the place of others, then what was let go."""
        for packet in self.eye.packets:
            self.wire.send(packet)
        for number, verdict, _ in self.eye.verdicts:
            packet = self.held.pop(number)
            if verdict == ACCEPT:
                self.wire.send(packet)
        self.eye.packets.clear()
        self.eye.verdicts.clear()

    def listen(self) -> None:
        for packet in self.wire.heard(self.port, 0.002):
            assert not packet.flags & RST, "the server gave up"
            acked = (packet.ack - self.first) & 0xFFFFFFFF
            self.acked = max(self.acked, acked if acked <= len(self.says) else 0)
            if self.acked == len(self.says):
                return

    def speak(self) -> None:
        """The first flight, in segments of its own; then again what was not acknowledged, as every TCP does."""
        size = self.draw.choice([1400, 536, 200])
        edges = sorted({0, len(self.says), *range(0, len(self.says), size), *(self.draw.randrange(1, len(self.says)) for _ in range(self.draw.randrange(3)))})
        segments = list(pairwise(edges))
        if self.draw.random() < 0.3:
            self.draw.shuffle(segments)
        end = time.monotonic() + LONG
        while self.acked < len(self.says):
            assert time.monotonic() < end, f"{self.acked} of {len(self.says)} bytes were acknowledged"
            for a, b in segments:
                self.say(self.packet(ACK | PSH, self.says[a:b], a))
            self.eye.due(time.monotonic() + 1)
            self.flush()
            self.listen()
            segments = [(self.acked, min(len(self.says), self.acked + size))]


def received(server: socket.socket, size: int) -> bytes:
    """What there is to read."""
    server.settimeout(LONG)
    got = b""
    while len(got) < size and (data := server.recv(65536)):
        got += data
    server.setblocking(False)
    try:
        return got + server.recv(65536)
    except BlockingIOError:
        return got


def arrives(there: Wire, one: Strategy, says: bytes, seed: str, *, stamps: bool = True) -> bytes:
    client = Client(there, says, random.Random(seed), Young(lambda _ask, _now: one, lambda mark: mark), stamps)
    with client.connect() as server:
        client.speak()
        return received(server, len(says))


def holds(there: Wire, text: str) -> None:
    for seed in range(TIMES):
        draw = random.Random(seed)
        hello = HELLO + (draw.randbytes(2000) if seed % 2 else b"")
        says = REQUEST + draw.randbytes(300) if text in HTTP else hello
        got = arrives(there, strategy(text), says, f"{text} {seed}", stamps=seed % 3 != 1)
        same = meaning(got) == meaning(says) if text in HTTP else got == says
        assert same, f"{text}: {len(got)} bytes, not what was sent"


@pytest.mark.parametrize("family", SIDES)
@alone
def test_a_real_server_reads_what_was_sent_whatever_is_tried_first(family: int) -> None:
    there = wire(family)
    for text in (*TLS, *HTTP):
        holds(there, text)
    print(f"{there.count} connections")


@pytest.mark.parametrize("family", SIDES)
@alone
def test_a_real_server_reads_what_was_sent_whatever_makes_it_drop_decoys(family: int) -> None:
    there = wire(family)
    for text in FOOLED:
        holds(there, text)
    print(f"{there.count} connections")


def taken(there: Wire, drop: str, undo: Callable[[Packet, Packet], Packet]) -> int:
    """Sends the decoy alone. How much of it the server has, in order or ahead of a gap."""
    client = Client(there, HELLO, random.Random(drop), Young(lambda _ask, _now: (), lambda mark: mark))
    with client.connect() as server:
        own = client.packet(ACK | PSH, client.says)
        decoy, real = play(strategy(f"fake(noise,{drop})"), Flight(own, own.seq, client.says, 1400), Path(HOPS))
        assert real == own and decoy.payload != own.payload
        there.send(undo(decoy, own))
        list(there.heard(client.port, 0.01))
        info = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        server.setblocking(False)
        try:
            assert server.recv(65536) == decoy.payload
        except BlockingIOError:
            assert struct.unpack_from("=I", info, OUT_OF_ORDER)[0] == 0
        return int(struct.unpack_from("=Q", info, BYTES_RECEIVED)[0])


@pytest.mark.parametrize("drop", DROPS)
@pytest.mark.parametrize("family", SIDES)
@alone
def test_a_decoy_leaves_nothing_behind_and_the_same_one_is_taken_where_nothing_makes_it_drop(family: int, drop: str) -> None:
    there = wire(family)
    assert taken(there, drop, lambda decoy, _: decoy) == 0
    assert taken(there, drop, lambda decoy, own: replace(own, payload=decoy.payload)) == len(HELLO)
