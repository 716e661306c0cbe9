"""How iodined's protocol is written: upstream in names, downstream in TXT records, packets deflated. Pure.

Names are in base32, which every resolver leaves as they are. An answer is a stranger's: what it holds that is not ours
is nothing, and never grows beyond a packet.
"""

from __future__ import annotations

import zlib
from base64 import b32encode, b64decode

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype

BASE32 = "abcdefghijklmnopqrstuvwxyz012345"
TO_BASE32 = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", BASE32)
FROM_BASE64 = bytes.maketrans(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789+",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
)
LABEL, LONGEST = 57, 250  # characters
# Written before each packet, as a tun interface without IFF_NO_PI would: no flags, IPv4.
PREFIX = b"\0\0\x08\0"
LARGEST = 1 << 16


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


def inflated(data: bytes) -> bytes:
    """The IPv4 packet within; nothing of any other kind, and never more than one can be."""
    try:
        packet = zlib.decompressobj().decompress(data, LARGEST)
    except zlib.error:
        return b""
    return packet[4:] if packet[:4] == PREFIX and packet[4:5] and packet[4] >> 4 == 4 else b""
