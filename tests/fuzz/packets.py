"""What must hold of any packets, and of any strategy's text, whatsoever: desync/ reads what strangers send, and runs as
an engine whose fall ends the household's way out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from urllib.parse import quote

from routerd.desync import quic
from routerd.desync.decoys import client_hello, handshake
from routerd.desync.grammar import StrategyError, parse as strategy, text as written
from routerd.desync.hello import said
from routerd.desync.packet import ACK, PSH, SYN, TCP, UDP, Packet, build, parse
from routerd.desync.play import Flight, Path, play, play_datagrams
from routerd.desync.prior import HTTP, QUIC, TLS
from routerd.desync.stream import LONGEST as LONGEST_STREAM, Stream
from routerd.desync.flow import Ask
from routerd.desync.young import Young
from routerd.entries import listed_transports
from routerd.links import LinkError, parse as link
from routerd.links.desync import LONGEST as LONGEST_STRATEGY
from routerd.table import SettingsError, Table
from routerd.transports.desync import AUTO, Desync
from tests.fuzz.checks import LONGEST, carried

STRATEGIES = [strategy(one) for one in (*TLS, *HTTP, *QUIC)]
ENDS = ((b"\xc0\xa8\x4d\x07", b"\xc6\x33\x64\x0a"), (b"\xfd" + b"\1" * 15, b"\x20\x01\x0d\xb8" + b"\2" * 12))
STAMPS = bytes.fromhex("0101080a0000200000000001")
TARGET = b"\1" * 8
REQUEST = b"GET / HTTP/1.1\r\nHost: www.blocked.example\r\n\r\n"
HELLO = client_hello(300, b"seed", b"www.blocked.example")
FIRST = Packet(*ENDS[0], TCP, 50000, 443, HELLO, 1000, 5000, ACK | PSH, 65535, 63, STAMPS)
LEAST = 12  # segments that a flight of the client's has at most (client.py)


def timed(check: Callable[[bytes], None]) -> Callable[[bytes], None]:
    @wraps(check)
    def run(data: bytes) -> None:
        began = time.process_time()
        check(data)
        took = time.process_time() - began
        assert took < LONGEST, f"{took:.3f} s"

    return run


# -- packet -----------------------------------------------------------------------------------------------------------

PACKETS = [
    *(bytes([number, 40]) + build(replace(FIRST, src=src, dst=dst)) for number in range(0, 28, 3) for src, dst in ENDS),
    *(bytes([number, 255]) + HELLO for number in range(0, 28, 5)),
    b"\x14\x10" + REQUEST,
    b"\x05\x00" + build(replace(FIRST, proto=UDP, payload=quic.initial(b"seed"))),
    b"\x05\xff" + b"\x06\0" + b"\x41\x2c" + handshake(b"www.blocked.example", b"seed", 0),
    b"\x05\xff" + b"\x02\x05\x00\x00\x05\x00\x01\x06\x03\x02abc",
]


@timed
def packets(data: bytes) -> None:
    """The first byte chooses a strategy, the second a size; the rest is a packet, or what it carries, or frames."""
    chosen, size, rest = STRATEGIES[(data[:1] or b"\0")[0] % len(STRATEGIES)], (data[1:2] or b"\0")[0], data[2:]
    found = parse(rest)
    if found is not None:
        assert parse(build(found)) == found
    _said(rest)
    _named([rest, rest[size:], sealed(rest[:1500])])
    src, dst = ENDS[size & 1]
    first = found if found and found.proto == TCP else replace(FIRST, src=src, dst=dst)
    _played(chosen, first, found.payload if found else rest, size)
    _streamed(rest, size)


def _said(data: bytes) -> None:
    found = said(data)
    if found is None or not found.name:
        return
    assert found.name == found.name.lower()
    assert len(found.name) <= 253
    assert found.start < 0 or data[found.start : found.end].decode().lower().rstrip(".") == found.name


def _named(datagrams: list[bytes]) -> None:
    for datagram in datagrams:
        quic.name([datagram])
    assert quic.name(datagrams) is None or quic.is_initial(datagrams[0]) or quic.is_initial(datagrams[2])


def sealed(frames: bytes) -> bytes:
    """An Initial that opens: no fuzzer finds one."""
    head = b"\xc3" + quic.V1.number.to_bytes(4) + bytes([len(TARGET)]) + TARGET + b"\0\0"
    return quic._sealed(quic.V1, TARGET, head, 0, frames + b"\0" * (20 - len(frames)))


def _played(chosen: tuple[object, ...], first: Packet, payload: bytes, size: int) -> None:
    largest = max(1, size, -(-len(payload) // LEAST))
    whole = Flight(first, first.seq, payload, largest)
    for packet in play(chosen, whole, Path(size % 70 or None)):  # type: ignore[arg-type]
        wire = parse(build(packet))
        assert wire is not None
        assert (wire.payload, wire.seq, wire.ttl) == (packet.payload, packet.seq, packet.ttl)
    for packet in play_datagrams(chosen, replace(first, payload=payload), Path(None)):  # type: ignore[arg-type]
        assert parse(build(packet))


def _streamed(data: bytes, step: int) -> None:
    """Four bytes say where a piece lies, and how long it is."""
    stream, before = Stream(1 << 32 - 1), b""
    for at in range(0, min(len(data), 800) - 4, 4 + step % 8):
        place, length = int.from_bytes(data[at : at + 3]), data[at + 3]
        now = stream.add((stream.start + (place >> 4 if place & 15 else place << 8)) & 0xFFFFFFFF, data[at : at + length])
        assert now.startswith(before)
        assert len(now) <= LONGEST_STREAM
        before = now


# -- young ------------------------------------------------------------------------------------------------------------

CONVERSATIONS = [
    b"\x00\x00\x00\x00\x00" + b"\x11\x00\x00\xff\x00" + b"\x02\x00\x00\xff\x00" + b"\x13\x00\x00\x80\x05",
    b"\x02\x00\x00\x10\x00" + b"\x12\x00\x10\xff\x00" + b"\x02\x00\x00\xff\x00" + b"\x02\x00\x00\xff\x00",
    b"\x04\x00\x00\xff\x00" * 4 + b"\x05\x00\x00\x00\x10",
    b"\x22\x00\x00\xff\x00" + b"\x26\x00\x00\x00\x00" + b"\x27\x00\x00\x00\x00",
]


def conversations(data: bytes) -> None:
    """Each packet gets one verdict, once; what comes of it can be sent, soon."""
    chosen = STRATEGIES[(data[:1] or b"\0")[0] % len(STRATEGIES)]
    eye = Young(lambda ask, _now: chosen if _asked(ask) else (), lambda mark: mark)
    owed, now = set[int](), 0.0
    for number, at in enumerate(range(0, min(len(data), 200) - 4, 5)):
        now, began = now + data[at + 4] / 50, time.process_time()
        eye.due(now)
        owed.add(number)
        eye.take(number, data[at] & 0x40, _packet(*data[at : at + 4]), bool(data[at] & 8), now)
        _settled(eye, owed)
        assert time.process_time() - began < LONGEST
    eye.due(now + 1)
    assert not eye.holds()
    _settled(eye, owed)
    assert not owed, "without a verdict"


def _asked(ask: Ask) -> bool:
    assert ask.address
    assert ask.kind in ("tls", "http", "quic")
    return True


def _packet(kind: int, high: int, low: int, length: int) -> Packet | None:
    """`kind`: its lowest three bits say what it is, the next ones whose and of which family."""
    ends = ENDS[bool(kind & 16)]
    payload = (REQUEST if kind & 32 else HELLO)[high & 0x7F :][:length]
    place = high << 8 | low
    client = Packet(*ends, TCP, 50000, 443, payload, 1000 + place, 5000, ACK | PSH, 65535, 63, STAMPS)
    server = Packet(*reversed(ends), TCP, 443, 50000, b"", 5000, 1000, ACK, 65535, low)
    made = (
        replace(client, flags=SYN, payload=payload[: high & 1], seq=999),
        replace(server, flags=low),
        client,
        replace(server, payload=payload),
        replace(client, proto=UDP, payload=quic.initial(b"seed")[: 5 * length]),
        replace(client, proto=UDP, payload=sealed(HELLO[5 + high : 5 + high + length])),
        replace(client, flags=low),
        None,
    )
    return made[kind & 7]


def _settled(eye: Young, owed: set[int]) -> None:
    for number, _, _ in eye.verdicts:
        assert number in owed, "a second verdict"
        owed.discard(number)
    for packet in eye.packets:
        assert parse(build(packet))
    eye.verdicts.clear()
    eye.packets.clear()


# -- strategy ---------------------------------------------------------------------------------------------------------


def strategies(text: str) -> None:
    """A strategy whose text is read as the same; or a line that says why not. Links and settings agree with that."""
    began = time.process_time()
    try:
        found = strategy(text)
    except StrategyError as e:
        assert str(e) and str(e).isprintable(), "more than a line"
        found = ()
    else:
        assert strategy(written(found)) == found
        assert found
    _linked(text, bool(found))
    _set(text, bool(found))
    took = time.process_time() - began
    assert took < LONGEST, f"{took:.3f} s"


def _linked(text: str, good: bool) -> None:
    try:
        named = link(f"desync://{quote(text, safe='')}#n")
    except LinkError as e:
        assert not good or len(text) > LONGEST_STRATEGY or text.endswith("/"), f"{text!r}: {e}"
        assert e.reason.endswith((".", "…."))
        return
    assert good or text == AUTO
    carried(named)


def _set(text: str, good: bool) -> None:
    table = Table("transport[0].", {"name": "a", "kind": "desync", "strategy": text})
    try:
        entry = listed_transports([table], lambda _: "")["a"]
    except SettingsError as e:
        assert not good or len(text) > LONGEST_STRATEGY
        assert str(e).isprintable()
        return
    assert good or text == AUTO
    assert isinstance(entry.transport, Desync)
