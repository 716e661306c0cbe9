"""How a session begins: a version, a password that is not said, one address, and answers as large as come through."""

from __future__ import annotations

import hashlib
import random
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from routerd.host.dnstunnel.line import BLOCK, Line, Refused
from routerd.host.dnstunnel.writing import BASE32, base32, room

VERSION = 0x00000502
SIZES = (1200, 1000, 700, 400, 180)  # of a downstream fragment, in bytes; the first that arrives whole is used


@dataclass(slots=True)
class Session:
    """What a login gave us."""

    user: int
    address: IPv4Address


def log_in(line: Line, password: str) -> Session:
    """Raises Refused."""
    user, challenge = _greeted(line)
    address = _proved(line, user, challenge, password)
    letter = BASE32[user & 31]
    for codec in "rs":  # as it is, where resolvers let all bytes pass; else base64
        if line.ask(f"y{codec}{BASE32[1]}{{}}", 2)[:4] == b"\0\0\0\0":
            line.ask(f"o{letter}{codec}{{}}", 3)
            break
    line.ask(f"o{letter}l{{}}", 3)
    set_fragment_size(line, user)
    return Session(user, address)


def _greeted(line: Line) -> tuple[int, int]:
    """Our number, and the server's challenge."""
    hello = line.ask("v" + base32(struct.pack(">I", VERSION) + line.miss))
    match hello[:4]:
        case b"VACK" if len(hello) >= 9:
            challenge, user = struct.unpack(">IB", hello[4:9])
            return user, challenge
        case b"VNAK":
            raise Refused("the server speaks another version of iodine's protocol")
        case b"VFUL":
            raise Refused("the server is full")
        case _:
            raise Refused("what answers is no iodine server")


def _proved(line: Line, user: int, challenge: int, password: str) -> IPv4Address:
    """The one address that is ours then."""
    key = password.encode()[:32].ljust(32, b"\0")
    words = struct.pack(">8I", *(word ^ challenge for word in struct.unpack(">8I", key)))
    proof = hashlib.md5(words, usedforsecurity=False).digest()
    said = line.ask("l" + base32(bytes([user]) + proof + line.miss)).decode("ascii", "replace")
    try:
        return IPv4Address(said.split("-")[1])
    except (IndexError, ValueError):
        raise Refused("the server did not take the password") from None


def set_fragment_size(line: Line, user: int) -> None:
    """The largest that comes through; the server's own, where none of them does."""
    for size in SIZES:
        head = "".join(BASE32[(user << 11 | size) >> shift & 31] for shift in (10, 5, 0))
        arrived = line.ask(f"r{head}d{base32(random.randbytes(room(line.domain)))}", 2)
        if len(arrived) == size and arrived[:2] == BLOCK.pack(size):
            line.ask("n" + base32(bytes([user]) + BLOCK.pack(size - 2) + line.miss), 3)
            return
