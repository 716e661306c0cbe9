"""What arrives is what was sent: for every strategy, over random segmentations, losses and repeats, through the worker's
own eye (Young), to receivers of three makes.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.desync.grammar import DROPS, LOADS, WORDS, StrategyError, parse, text
from routerd.desync.hello import said
from routerd.desync.outcome import ACCEPT, DROP
from routerd.desync.packet import ACK, FIN, PSH, RST, SYN, TCP, Packet, build
from routerd.desync.packet import parse as read
from routerd.desync.play import Flight, Path, play
from routerd.desync.prior import HTTP, QUIC, TLS
from routerd.desync.steps import Around, Decoys, Disorder, Fake, Fooling, HostCase, HostSpace, Overlap, Place, Split, Strategy
from routerd.desync.young import Young
from tests.unit.test_desync_packet import ENDS4, ENDS6, real_hello
from tests.unit.test_desync_young import CLIENT, HELLO, REQUEST, SERVER

EXAMPLES = int(os.environ.get("EXAMPLES", "100"))
HOPS = 5  # routers between here and the server
STAMPS = bytes.fromhex("0101080a0000200000000001")

places = st.one_of(
    st.builds(Place, st.sampled_from(WORDS), st.integers(-20, 20)),
    st.builds(Place, st.none(), st.integers(-300, 300).filter(bool)),
)
foolings = st.one_of(st.builds(Fooling, st.sampled_from(DROPS)), st.builds(Fooling, st.just("ttl"), st.integers(1, HOPS)))
fakes = st.builds(Fake, st.sampled_from(LOADS), foolings, st.integers(1, 3))
others = (
    st.builds(Split, st.lists(places, min_size=1, max_size=6).map(tuple)),
    st.just(Disorder()),
    st.builds(Overlap, st.integers(1, 700)),
    st.builds(Around, foolings),
    st.just(HostCase()),
    st.just(HostSpace()),
    st.builds(Decoys, st.integers(1, 4)),
)
strategies = st.tuples(
    st.lists(fakes, max_size=2), st.lists(st.integers(0, len(others) - 1), unique=True, max_size=4).flatmap(lambda them: st.tuples(*(others[i] for i in them)))
).map(lambda both: (*both[0], *both[1])).filter(bool)


@pytest.mark.parametrize("one", [*TLS, *HTTP, *QUIC])
def test_what_is_tried_first_is_written_as_it_is_read(one: str) -> None:
    assert text(parse(one)) == one.replace("fake(ttl", "fake(hello,ttl")


@given(strategies)
def test_text_is_the_inverse_of_parse(one: Strategy) -> None:
    assert parse(text(one)) == one


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("", "no step"),
        ("splt(1)", "no such step"),
        ("split", "needs 1 to"),
        ("split(0)", "no place"),
        ("split(1,middle)", "no place"),
        ("split(9999)", "no place"),
        ("split(1) split(2)", "only once"),
        ("disorder(1)", "nothing in brackets"),
        ("fake", "drop the decoy"),
        ("fake(hello)", "drop the decoy"),
        ("fake(badsum=3)", "drop the decoy"),
        ("fake(ttl=0)", "drop the decoy"),
        ("fake(md5,x99)", "x1 to x20"),
        ("overlap(0)", "a number from 1"),
        ("split(1", "no such step"),
        ("record(5)", "length"),
        ("oob", "length"),
        ("syndata", "SYN"),
        ("window(1)", "small pieces"),
        ("fragment(8)", "IP packets"),
        ("disorder " * 9, "at most"),
        ("split(1)\u2028disorder", "cannot be seen"),
        ("split(1,\n2)", "cannot be seen"),
        ("split (1)", "no step is before"),
        ("( disorder", "no step is before"),
        ("split(\u0661)", "no place"),
        ("overlap(\u0661)", "a number from 1"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(wrong: str, why: str) -> None:
    with pytest.raises(StrategyError, match=why) as caught:
        parse(wrong)
    assert "\n" not in str(caught.value)


# -- receivers --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Receiver:
    """A server's TCP, as far as it decides what it takes. `keeps`: of two copies ahead of a gap, the first or the last.

    What is behind the window, or was acknowledged already, is dropped by all of them.
    """

    keeps: str
    got: bytearray = field(default_factory=bytearray)
    ahead: dict[int, int] = field(default_factory=dict)  # offset -> byte
    stamp: int = 0x2000

    def take(self, packet: Packet) -> None:
        if packet.bad_checksum or packet.ttl <= HOPS or not packet.flags & ACK or packet.flags & (SYN | RST):
            return
        if b"\x13\x12" in packet.options or not SERVER < packet.ack <= SERVER + 1:
            return
        if packet.options[:4] == STAMPS[:4] and (int.from_bytes(packet.options[4:8]) - self.stamp) & 0xFFFFFFFF >= 1 << 31:
            return
        offset = (packet.seq - CLIENT - 1) & 0xFFFFFFFF
        offset -= (offset > 1 << 31) << 32
        if offset > len(self.got) + 65535 or offset + len(packet.payload) <= len(self.got):
            return
        for at, byte in enumerate(packet.payload, offset):
            if at >= len(self.got) and (self.keeps == "last" or at not in self.ahead):
                self.ahead[at] = byte
        while len(self.got) in self.ahead:
            self.got.append(self.ahead.pop(len(self.got)))


class Strict(Receiver):
    """Takes nothing but what comes next."""

    def take(self, packet: Packet) -> None:
        super().take(packet)
        self.ahead.clear()


def receivers() -> list[Receiver]:
    return [Receiver("first"), Receiver("last"), Strict("first")]


# -- the way there ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Line:
    """A client behind the worker. What it sends is seen by Young; what comes out may get lost."""

    strategy: Strategy
    draw: random.Random
    ends: tuple[bytes, bytes]
    loss: float
    young: Young = field(init=False)
    held: dict[int, Packet] = field(default_factory=dict)
    number: int = 0
    out: list[Packet] = field(default_factory=list)
    dropped: int = 0

    def __post_init__(self) -> None:
        self.young = Young(lambda _ask, _now: self.strategy, lambda mark: mark)
        self.see(self.packet(SYN, b"", CLIENT, 0), 0.0)
        answer = Packet(self.ends[1], self.ends[0], TCP, 443, 50000, b"", SERVER, CLIENT + 1, SYN | ACK, 65535, 64 - HOPS)
        self.see(answer, 0.0, local=True)
        self.see(self.packet(ACK, b"", CLIENT + 1, SERVER + 1), 0.0)
        self.out.clear()

    def packet(self, flags: int, payload: bytes, seq: int, ack: int) -> Packet:
        return Packet(*self.ends, TCP, 50000, 443, payload, seq, ack, flags, 65535, 63, STAMPS)

    def see(self, packet: Packet, now: float, *, local: bool = False) -> None:
        self.number += 1
        self.held[self.number] = packet
        self.young.take(self.number, 0, read(build(packet)), local, now)
        self.gather()

    def gather(self) -> None:
        """What was put in the place of others, then what was let go."""
        self.out += self.young.packets
        for number, verdict, _ in self.young.verdicts:
            packet = self.held.pop(number)
            assert verdict in (ACCEPT, DROP)
            self.out += [packet] if verdict == ACCEPT else []
        self.young.packets.clear()
        self.young.verdicts.clear()

    def deliver(self, to: list[Receiver]) -> None:
        for packet in self.out:
            wire = read(build(packet))
            assert wire is not None
            if self.draw.random() >= self.loss:
                for one in to:
                    one.take(replace(wire, bad_checksum=packet.bad_checksum))
        self.out.clear()


def sent_through(one: Strategy, payload: bytes, draw: random.Random, ends: tuple[bytes, bytes], loss: float) -> list[Receiver]:
    """Segments of random sizes, in any order, some of them twice; then, for what got lost, again as a client does."""
    line, to = Line(one, draw, ends, loss), receivers()
    cuts = sorted({0, len(payload), *(draw.randrange(1, len(payload)) for _ in range(draw.randrange(4)))})
    segments = list(pairwise(cuts))
    if draw.random() < 0.3:
        draw.shuffle(segments)
    segments += draw.sample(segments, draw.randrange(len(segments) + 1) if draw.random() < 0.3 else 0)
    now = 0.1
    for again in range(60):
        for a, b in segments:
            line.see(line.packet(ACK | PSH, payload[a:b], CLIENT + 1 + a, SERVER + 1), now)
        now += 0.5
        line.young.due(now)
        line.gather()
        line.deliver(to)
        if all(len(receiver.got) >= len(payload) for receiver in to):
            break
        if again > 20:
            line.loss = 0.0
        got = min(len(receiver.got) for receiver in to)
        segments = [(got, min(len(payload), got + draw.choice([400, 1400])))]
    assert not line.held, "every packet got its verdict"
    return to


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.one_of(strategies, st.sampled_from([parse(one) for one in (*TLS, *HTTP)]), st.just(())),
    st.sampled_from(["hello", "long hello", "request", "noise"]),
    st.sampled_from([ENDS4, ENDS6]),
    st.sampled_from([0.0, 0.0, 0.3]),
    st.integers(0, 2**32),
)
def test_what_arrives_is_what_was_sent(one: Strategy, kind: str, ends: tuple[bytes, bytes], loss: float, seed: int) -> None:
    draw = random.Random(seed)
    payload = {
        "hello": real_hello("www.blocked.example"),
        "long hello": real_hello("www.blocked.example") + draw.randbytes(2000),
        "request": REQUEST + draw.randbytes(300),
        "noise": draw.randbytes(600),
    }[kind]
    for receiver in sent_through(one, payload, draw, ends, loss):
        if kind == "request":
            assert meaning(bytes(receiver.got)) == meaning(payload), text(one)
        else:
            assert bytes(receiver.got) == payload, text(one)


def meaning(data: bytes) -> tuple[object, ...]:
    """Of a request: its host, its other lines, what is behind its head, and how long all is."""
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"host:")]
    found = said(data)
    return found and found.name, tuple(lines), rest, len(data)


@pytest.mark.parametrize("one", [*TLS, *HTTP])
def test_no_packet_of_a_flight_has_the_name_whole_or_comes_first_without_a_decoy(one: str) -> None:
    """What a censor sees first: a piece that is not all, a decoy, or a head that is not spelt as it expects."""
    payload = REQUEST if one in HTTP else real_hello("www.blocked.example")
    first = Packet(*ENDS4, TCP, 50000, 443, payload, CLIENT + 1, SERVER + 1, ACK | PSH, 65535, 63, STAMPS)
    flight = Flight(first, CLIENT + 1, payload, 1400)
    begin = play(parse(one), flight, Path(HOPS))[0]
    assert not (begin.payload == payload and begin.seq == CLIENT + 1 and replace(begin) == first), one


def test_nothing_is_larger_than_what_the_client_itself_sends() -> None:
    payload = real_hello("www.blocked.example") + b"x" * 2500
    first = Packet(*ENDS4, TCP, 50000, 443, payload[:536], CLIENT + 1, SERVER + 1, ACK, 65535, 63, STAMPS)
    for one in TLS:
        for packet in play(parse(one), Flight(first, CLIENT + 1, payload, 536), Path(HOPS)):
            assert len(packet.payload) <= 536 + 336, one  # an overlap stands before the first piece


def test_a_decoy_that_the_server_might_take_is_not_sent() -> None:
    """Without a known distance, without timestamps, without room for a signature."""
    payload = real_hello("www.blocked.example")
    bare = Packet(*ENDS4, TCP, 50000, 443, payload, CLIENT + 1, SERVER + 1, ACK, 65535, 63)
    full = replace(bare, options=b"\1" * 40)
    for one, packet in (("fake(hello,ttl)", bare), ("fake(hello,oldts)", bare), ("fake(hello,md5)", full)):
        [only] = play(parse(one), Flight(packet, CLIENT + 1, payload, 1400), Path(None))
        assert only.payload == payload


def test_a_clients_end_goes_with_its_last_piece_alone() -> None:
    ended = replace(HELLO, flags=ACK | PSH | FIN)
    pieces = play(parse("split(1,midsld)"), Flight(ended, CLIENT + 1, ended.payload, 1400), Path(None))
    assert [bool(piece.flags & FIN) for piece in pieces] == [False, False, True]


def test_a_decoy_goes_no_farther_than_to_the_server_whatever_the_owner_wrote() -> None:
    [decoy, _] = play(parse("fake(zeros,ttl=30)"), Flight(HELLO, CLIENT + 1, HELLO.payload, 1400), Path(HOPS))
    assert decoy.ttl == HOPS
