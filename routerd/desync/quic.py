"""QUIC Initials of a client, read and made (RFC 9000, 9001, 9369). Pure.

They are encrypted by a key that everybody can derive from the packet itself, censors too.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256, shake_128

from routerd.desync.decoys import INNOCENT, handshake
from routerd.desync.hello import hello

LEAST = 1200  # bytes of a datagram with an Initial (RFC 9000, 14.1)
TAG, SAMPLE = 16, 16
LONGEST = 1 << 14  # bytes of a hello


@dataclass(frozen=True, slots=True)
class _Version:
    """`kind`: the two bits of a long header that say Initial. `label`: the prefix of its labels."""

    number: int
    salt: bytes
    kind: int
    label: bytes


V1 = _Version(1, bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), 0b00, b"quic ")
V2 = _Version(0x6B3343CF, bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"), 0b01, b"quicv2 ")
VERSIONS = {version.number: version for version in (V1, V2)}


def is_initial(datagram: bytes) -> bool:
    version = VERSIONS.get(int.from_bytes(datagram[1:5]))
    return version is not None and len(datagram) >= 64 and datagram[0] >> 4 == 0b1100 | version.kind


def name(datagrams: Sequence[bytes]) -> str | None:
    """The name in the hello of these Initials, empty where it has none; None while some of it is missing."""
    pieces: dict[int, bytes] = {}
    for datagram in datagrams:
        for frames in _payloads(datagram):
            pieces.update(_crypto(frames))
    body = b""
    for offset in sorted(pieces):
        if offset > len(body):
            break
        body += pieces[offset][len(body) - offset :]
    found = hello(b"\x16\x03\x01" + min(len(body), 0xFFFF).to_bytes(2) + body) if body else None
    return found.name if found and (found.whole or found.name) else None


def initial(seed: bytes, host: bytes = INNOCENT) -> bytes:
    """A datagram with the first Initial of another connection, for `host`."""
    drawn = shake_128(b"quic" + seed).digest(16)
    target, source = drawn[:8], drawn[8:]
    parameters = b"\x0f" + bytes([len(source)]) + source
    body = handshake(host, seed, 0, b"\0\x39" + len(parameters).to_bytes(2) + parameters)
    frames = b"\x06\0" + (0x4000 | len(body)).to_bytes(2) + body
    head = b"\xc3" + V1.number.to_bytes(4) + bytes([8]) + target + bytes([8]) + source + b"\0"
    room = LEAST - len(head) - 2 - 4 - TAG
    return _sealed(V1, target, head, 0, frames + b"\0" * (room - len(frames)))


def _payloads(datagram: bytes) -> list[bytes]:
    """Of each Initial in it; what cannot be opened is passed over."""
    found, at = list[bytes](), 0
    while is_initial(datagram[at:]) and len(found) < 4:
        try:
            payload, size = _opened(datagram[at:])
        except (IndexError, ValueError):
            break
        found.append(payload)
        at += size
    return found


def _opened(packet: bytes) -> tuple[bytes, int]:
    """Its payload, and its length. Raises ValueError or IndexError for what is none of a client's."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    version = VERSIONS[int.from_bytes(packet[1:5])]
    target = packet[6 : 6 + packet[5]]
    at = 6 + packet[5]
    at += 1 + packet[at]
    token, at = _number(packet, at)
    length, at = _number(packet, at + token)
    if at + length > len(packet) or length < 4 + SAMPLE:
        raise ValueError
    key, vector, protection = _keys(version, target)
    mask = _mask(protection, packet[at + 4 : at + 4 + SAMPLE])
    first = packet[0] ^ (mask[0] & 0x0F)
    size = (first & 3) + 1
    number = bytes(a ^ b for a, b in zip(packet[at : at + size], mask[1:], strict=False))
    head = bytes([first]) + packet[1:at] + number
    nonce = (int.from_bytes(vector) ^ int.from_bytes(number)).to_bytes(12)
    try:
        return AESGCM(key).decrypt(nonce, packet[at + size : at + length], head), at + length
    except InvalidTag:
        raise ValueError from None


def _sealed(version: _Version, target: bytes, head: bytes, number: int, frames: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head += (0x4000 | (4 + len(frames) + TAG)).to_bytes(2) + number.to_bytes(4)
    key, vector, protection = _keys(version, target)
    nonce = (int.from_bytes(vector) ^ number).to_bytes(12)
    body = AESGCM(key).encrypt(nonce, frames, head)
    mask = _mask(protection, body[:SAMPLE])  # the sample begins 4 bytes behind the number's begin; ours has 4
    hidden = bytes(a ^ b for a, b in zip(head[-4:], mask[1:], strict=True))
    return bytes([head[0] ^ (mask[0] & 0x0F)]) + head[1:-4] + hidden + body


def _keys(version: _Version, target: bytes) -> tuple[bytes, bytes, bytes]:
    """Key, vector and header protection of a client's (RFC 9001, 5.2)."""
    secret = _expanded(hmac.digest(version.salt, target, sha256), b"client in", 32)
    return tuple(
        _expanded(secret, version.label + what, size) for what, size in ((b"key", 16), (b"iv", 12), (b"hp", 16))
    )  # type: ignore[return-value]


def _expanded(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446, 7.1) of one block."""
    label = b"tls13 " + label
    info = size.to_bytes(2) + bytes([len(label)]) + label + b"\0\x01"
    return hmac.digest(secret, info, sha256)[:size]


def _mask(key: bytes, sample: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import ECB

    return Cipher(AES(key), ECB()).encryptor().update(sample)[:5]  # noqa: S305


def _crypto(frames: bytes) -> dict[int, bytes]:
    """Offset -> bytes. Reads PADDING, PING, ACK and CRYPTO; an Initial of a client has nothing else but CLOSE."""
    found: dict[int, bytes] = {}
    at = 0
    try:
        while at < len(frames):
            kind = frames[at]
            at += 1
            if kind in (0, 1):
                continue
            if kind in (2, 3):
                at = _past_ack(frames, at, ecn=kind == 3)
                continue
            if kind != 6:
                break
            offset, at = _number(frames, at)
            size, at = _number(frames, at)
            if offset < LONGEST:
                found[offset] = frames[at : at + size]
            at += size
    except IndexError:
        pass
    return found


def _past_ack(frames: bytes, at: int, *, ecn: bool) -> int:
    _, at = _number(frames, at)
    _, at = _number(frames, at)
    ranges, at = _number(frames, at)
    for _ in range(1 + 2 * min(ranges, 256) + 3 * ecn):
        _, at = _number(frames, at)
    return at


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer (RFC 9000, 16), and where it ends. Raises IndexError."""
    size = 1 << (data[at] >> 6)
    if at + size > len(data):
        raise IndexError
    return int.from_bytes(data[at : at + size]) & ((1 << (8 * size - 2)) - 1), at + size
