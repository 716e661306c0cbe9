"""A client of iodined, protocol 00000502: IPv4 packets in DNS questions and answers, for where nothing else gets out.

A program of its own, not imported by anything; its configuration comes as JSON on standard input. Debian's client takes
what a stranger says to a shell, as root (docs/decisions/0017); this one has no shell, no files and no root. It makes
its interface, gives it the one address that the server says, and carries. Nothing is encrypted here: what travels
inside has to be.

Upstream fragments are names in base32, which every resolver leaves as they are; downstream ones TXT records. One
fragment is under way each way at a time; the server keeps one question in hand (lazy mode) to answer with.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import random
import select
import socket
import struct
import sys
import time
import zlib
from base64 import b32encode, b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype

VERSION = 0x00000502
BASE32 = "abcdefghijklmnopqrstuvwxyz012345"
TO_BASE32 = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", BASE32)
FROM_BASE64 = bytes.maketrans(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789+",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
)
LABEL, LONGEST = 57, 250  # characters
ANSWER = 4096  # bytes, EDNS: what a resolver may send us
SIZES = (1200, 1000, 700, 400, 180)  # of a downstream fragment, in bytes; the first that arrives whole is used
BLOCK = struct.Struct(">H")
# Written before each packet, as a tun interface without IFF_NO_PI would: no flags, IPv4.
PREFIX = b"\0\0\x08\0"
LARGEST = 1 << 16
PATIENCE = (1.0, 1.0, 2.0, 3.0)  # seconds for each try of a question
IDLE, AGAIN, SOON = 4.0, 1.0, 0.02  # seconds
TRIES = 4  # of one upstream fragment; then TCP sends its packet again
SILENCE = 60.0  # seconds after which the server has forgotten us
TAKEN = 3.0  # seconds that the kernel may need to take down the interface of the one before us
QUEUE = 8  # packets: more of them would be late ones
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFTXQLEN = 0x8916, 0x891C, 0x8943


class Refused(Exception):
    """The server, or a resolver on the way, said no; the message is for the owner."""


def base32(data: bytes) -> str:
    return b32encode(data).decode().rstrip("=").translate(TO_BASE32)


def room(domain: str) -> int:
    """Bytes that one name can carry below `domain`, beside a header of five characters."""
    characters = LONGEST - len(domain) - 2
    return (characters - characters // LABEL - 1 - 5) * 5 // 8


def dotted(text: str, domain: str) -> str:
    return ".".join([*(text[at : at + LABEL] for at in range(0, len(text), LABEL)), domain])


def decoded(texts: tuple[bytes, ...]) -> bytes:
    """Of a TXT record, whose first character says how it is written."""
    whole = b"".join(texts)
    how, body = whole[:1].lower(), whole[1:]
    match how:
        case b"r":
            return body
        case b"s":
            body = body.translate(FROM_BASE64)
            return b64decode(body + b"=" * (-len(body) % 4))
        case b"t":
            number = 0
            for char in body.decode("ascii").lower():
                number = number << 5 | BASE32.index(char)
            return (number >> 5 * len(body) % 8).to_bytes(5 * len(body) // 8)
        case _:
            raise ValueError("written in a way that nobody asked for")


def answer_of(packet: bytes) -> tuple[int, bytes] | None:
    """The question's number, and what the answer holds; None for what is no answer of ours."""
    try:
        message = dns.message.from_wire(packet, ignore_trailing=True)
        found = [item for rrset in message.answer if rrset.rdtype == dns.rdatatype.TXT for item in rrset]
        if message.flags & dns.flags.QR and found:
            return message.id, decoded(found[0].strings)
    except (dns.exception.DNSException, ValueError):
        pass
    return None


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


@dataclass(slots=True)
class Session:
    """What a login gave us."""

    user: int
    address: IPv4Address


def log_in(line: Line, password: str) -> Session:
    hello = line.ask("v" + base32(struct.pack(">I", VERSION) + line.miss))
    match hello[:4]:
        case b"VACK" if len(hello) >= 9:
            challenge, user = struct.unpack(">IB", hello[4:9])
        case b"VNAK":
            raise Refused("the server speaks another version of iodine's protocol")
        case b"VFUL":
            raise Refused("the server is full")
        case _:
            raise Refused("what answers is no iodine server")
    key = password.encode()[:32].ljust(32, b"\0")
    words = struct.pack(">8I", *(word ^ challenge for word in struct.unpack(">8I", key)))
    proof = hashlib.md5(words, usedforsecurity=False).digest()
    said = line.ask("l" + base32(bytes([user]) + proof + line.miss)).decode("ascii", "replace")
    try:
        address = IPv4Address(said.split("-")[1])
    except (IndexError, ValueError):
        raise Refused("the server did not take the password") from None
    letter = BASE32[user & 31]
    for codec in "rs":  # as it is, where resolvers let all bytes pass; else base64
        if line.ask(f"y{codec}{BASE32[1]}{{}}", 2)[:4] == b"\0\0\0\0":
            line.ask(f"o{letter}{codec}{{}}", 3)
            break
    line.ask(f"o{letter}l{{}}", 3)
    set_fragment_size(line, user)
    return Session(user, address)


def set_fragment_size(line: Line, user: int) -> None:
    """The largest that comes through; the server's own, where none of them does."""
    for size in SIZES:
        head = "".join(BASE32[(user << 11 | size) >> shift & 31] for shift in (10, 5, 0))
        arrived = line.ask(f"r{head}d{base32(random.randbytes(room(line.domain)))}", 2)
        if len(arrived) == size and arrived[:2] == BLOCK.pack(size):
            line.ask("n" + base32(bytes([user]) + BLOCK.pack(size - 2) + line.miss), 3)
            return


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


def inflated(data: bytes) -> bytes:
    """The IPv4 packet within; nothing of any other kind, and never more than one can be."""
    try:
        packet = zlib.decompressobj().decompress(data, LARGEST)
    except zlib.error:
        return b""
    return packet[4:] if packet[:4] == PREFIX and packet[4:5] and packet[4] >> 4 == 4 else b""


def interface(name: str) -> int:
    tun, end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK), time.monotonic() + TAKEN
    while True:
        try:
            fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        except OSError as e:
            if e.errno != errno.EBUSY or time.monotonic() > end:
                raise
            time.sleep(SOON)
        else:
            return tun


def addressed(name: str, address: IPv4Address) -> None:
    """One host's address: no network comes with it. routerd brings it up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((SIOCSIFADDR, address.packed), (SIOCSIFNETMASK, b"\xff" * 4)):
            place = struct.pack("=HH4s8x", socket.AF_INET, 0, value)
            fcntl.ioctl(control, request, struct.pack("16s16s8x", name.encode(), place))
        fcntl.ioctl(control, SIOCSIFTXQLEN, struct.pack("16si20x", name.encode(), QUEUE))


def carry(tunnel: Tunnel, tun: int) -> None:
    """Until the server has forgotten us."""
    sock = tunnel.line.sock
    sock.setblocking(False)
    tunnel.heard = time.monotonic()
    tunnel.ping()
    while time.monotonic() < tunnel.heard + SILENCE:
        free = not tunnel.packet or tunnel.tries >= TRIES - 1  # what is late is dropped: TCP sends it again
        waiting: list[int] = [sock.fileno(), tun] if free else [sock.fileno()]
        ready, _, _ = select.select(waiting, [], [], max(0.0, tunnel.ping_at - time.monotonic()))
        if sock.fileno() in ready and (found := tunnel.line.receive()):
            for packet in tunnel.take(*found):
                os.write(tun, packet)
        if tun in ready and (packet := os.read(tun, LARGEST))[0] >> 4 == 4:
            tunnel.put(packet)
        if time.monotonic() >= tunnel.ping_at:
            tunnel.due()
    raise Refused("the server has been silent for a minute")


def main() -> int:
    settings = json.load(sys.stdin)
    sock = socket.socket(socket.AF_INET6 if ":" in settings["resolver"] else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, settings["mark"])
    try:
        tun = interface(settings["interface"])
        sock.connect((settings["resolver"], settings["port"]))
        line = Line(sock, settings["domain"])
        session = log_in(line, settings["password"])
        addressed(settings["interface"], session.address)
        carry(Tunnel(line, session), tun)
    except (Refused, OSError) as e:
        print(f"iodine: {e}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
