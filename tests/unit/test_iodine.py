"""Our client of iodined: its writing, and what it makes of answers that a stranger sends. The lab has the real server."""

import random
import zlib
from base64 import b64encode
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.host.dnstunnel.line import Refused
from routerd.host.dnstunnel.login import Session
from routerd.host.dnstunnel.tunnel import Tunnel
from routerd.host.dnstunnel.writing import PREFIX, answer_of, base32, decoded, dotted, inflated, room
from routerd.links import LinkError, export, parse
from routerd.model import OF_THE_LINE
from routerd.transports.iodine import Iodine

STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
IODINES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789+"  # src/base64.c
PACKET = b"\x45" + random.Random(7).randbytes(1000)


@dataclass
class Wire:
    """In the place of a line: keeps what was sent."""

    domain: str = "t.example.org"
    ids: list[int] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    miss = b"\0\1"

    def send(self, text: str) -> int:
        self.sent.append(text)
        self.ids = [*self.ids[-2:], len(self.sent)]
        return len(self.sent)


def tunnel() -> Tunnel:
    made = Tunnel(Wire(), Session(3, IPv4Address("10.53.0.2")))  # type: ignore[arg-type]
    made.ping()
    return made


def answers(packet: bytes, sequence: int, size: int = 300) -> list[bytes]:
    """As the server sends a packet: a header of two bytes before each part."""
    data = zlib.compress(PREFIX + packet)
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    last = len(parts) - 1
    return [bytes([0, sequence << 5 | number << 1 | (number == last)]) + part for number, part in enumerate(parts)]


def test_base32_is_iodines_own() -> None:
    assert base32(b"") == ""
    assert base32(bytes.fromhex("00000502")) == "aaaakaq"
    assert base32(b"\xff\xff\xff\xff\xff") == "55555555"


TO_BASE64 = bytes.maketrans(STANDARD, IODINES)


@given(st.binary(max_size=120), st.integers(1, 119))
def test_each_way_of_writing_is_read_however_the_record_is_cut(data: bytes, at: int) -> None:
    base64 = b64encode(data).rstrip(b"=").translate(TO_BASE64)
    for whole in (b"r" + data, b"s" + base64, b"t" + base32(data).encode()):
        assert decoded((whole[:at], whole[at:])) == data


@given(st.text("abc", min_size=3, max_size=120).map(lambda word: f"{word}.org"))
def test_every_name_is_one_that_dns_carries(domain: str) -> None:
    name = dotted("x" * 5 + base32(b"\xff" * room(domain)), domain)
    assert len(name) <= 253
    assert all(0 < len(label) <= 63 for label in name.removesuffix(domain).strip(".").split("."))


@given(st.binary(max_size=300))
def test_no_answer_breaks_it(data: bytes) -> None:
    answer_of(data)
    inflated(data)
    made = tunnel()
    try:
        list(made.take(made.line.ids[-1], data))
    except Refused:
        assert data.startswith(b"BADIP")


def test_a_packet_in_parts_comes_out_once_whatever_is_repeated_or_late() -> None:
    made, found = tunnel(), list[bytes]()
    first, second = answers(PACKET, 1), answers(b"\x45" + PACKET[:0:-1], 2)
    assert len(first) > 1
    for answer in (first[0], first[0], *first[1:], second[0], first[-1], *second[1:]):
        found += made.take(made.line.ids[-1], answer)
    assert found[0] == PACKET
    assert len(found) == 2


def test_a_part_that_is_missing_spoils_its_packet_alone() -> None:
    made, found = tunnel(), list[bytes]()
    first, second = answers(PACKET, 1, 100), answers(PACKET, 2, 100)
    for answer in (first[0], *first[2:], *second):
        found += made.take(made.line.ids[-1], answer)
    assert found == [PACKET]


def test_upstream_goes_part_by_part_as_the_server_acknowledges() -> None:
    made = tunnel()
    made.put(bytes([0x45, *[i * 7919 % 251 for i in range(600)]]))
    sent: list[str] = made.line.sent  # type: ignore[attr-defined]
    parts = 1
    while made.packet:
        assert sent[-1].startswith("3")
        header = bytes([made.sequence << 4 | made.fragment, 0])
        list(made.take(made.line.ids[-1], header))
        parts += 1
    assert parts > 3
    last = ["abcdefghijklmnopqrstuvwxyz012345".index(text[3]) & 1 for text in sent if text.startswith("3")]
    assert last == [0] * (len(last) - 1) + [1], "the last part, and no other, says that it is the last"


def test_it_is_sent_again_and_then_given_up() -> None:
    made = tunnel()
    made.put(PACKET)
    for _ in range(10):
        made.again_at = 0.0
        made.due()
    assert not made.packet


def test_what_swells_is_cut_and_what_is_no_ipv4_dropped() -> None:
    assert len(inflated(zlib.compress(PREFIX + b"\x45" + bytes(10_000_000)))) < 1 << 16
    assert inflated(zlib.compress(PREFIX + b"\x60" + bytes(40))) == b""
    assert inflated(zlib.compress(b"\0\0\x86\xdd\x45")) == b""


def test_a_server_that_has_forgotten_us_is_left() -> None:
    made = tunnel()
    with pytest.raises(Refused, match="forgotten"):
        list(made.take(made.line.ids[-1], b"BADIP"))


@pytest.mark.parametrize(
    ("link", "word"),
    [
        ("iodine://pw@resolver.example?domain=t.example.org", "IP address"),
        ("iodine://pw@192.0.2.53", "domain="),
        ("iodine://pw@192.0.2.53?domain=t.", "domain="),
        ("iodine://pw@192.0.2.53?domain=192.0.2.1", "not a host name"),
        ("iodine://pw@abc.de?domain=t.example.org", "IP address"),
        (f"iodine://{'p' * 33}@192.0.2.53?domain=t.example.org", "32 bytes"),
        ("iodine://192.0.2.53?domain=t.example.org", "password"),
        ("iodine://pw@t.example.org?domain=", "IP address"),
        ("iodine://pw@t.example.org:5353", "port 53"),
        ("iodine://pw@localhost", "domain="),
        (f"iodine://pw@{'a' * 60}.{'b' * 60}.{'c' * 20}.org", "domain="),
    ],
)
def test_a_link_that_lacks_something_says_what(link: str, word: str) -> None:
    with pytest.raises(LinkError, match=word):
        parse(link)


@pytest.mark.parametrize("link", ["iodine://pw@t.example.org", "iodine://pw@T.example.org:53#slow"])
def test_a_link_without_a_resolver_means_the_lines_own_and_comes_back_as_it_was(link: str) -> None:
    found = parse(link)
    assert found.transport == Iodine(OF_THE_LINE, 53, "t.example.org", "pw")
    assert found.name == link.partition("#")[2] or found.name == "t.example.org"
    assert parse(export(found)) == found
