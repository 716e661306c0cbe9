"""What decoys hold: a ClientHello or a request for a name that nobody blocks, zeros, noise. Pure.

Noise and random fields are drawn from the packet that the decoy goes before, so that the same packet gives the same.
"""

from __future__ import annotations

from hashlib import shake_128

from routerd.desync.steps import Load

INNOCENT = b"www.w3.org"  # a host with many faces, which no censor is known to block
LEAST = 200  # bytes of a hello
# What today's browsers offer, in short; nobody answers it.
_CIPHERS = bytes.fromhex("130113031302c02bc02fcca9cca8c02cc030c00ac009c013c014009c009d002f0035")
_TAIL = bytes.fromhex(
    "00170000ff01000100000a000a0008001d001700180019000b00020100002300000010000e000c02683208687474702f312e31"
    "000500050100000000003300260024001d0020"
)
_MORE = bytes.fromhex("002b00050403040303000d0018001604030503060308040805080604010501060102030201002d00020101")


def decoy(load: Load, size: int, seed: bytes) -> bytes:
    """So many bytes; a hello has LEAST of them at least."""
    match load:
        case "hello":
            return client_hello(size, seed)
        case "http":
            head = b"GET / HTTP/1.1\r\nHost: " + INNOCENT + b"\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n"
            return head + b"\0" * (size - len(head))
        case "zeros":
            return b"\0" * size
        case "noise":
            return shake_128(seed).digest(size)


def client_hello(size: int, seed: bytes, name: bytes = INNOCENT) -> bytes:
    """One TLS record, filled up with the padding extension (RFC 7685)."""
    body = handshake(name, seed, 0)
    fill = size - len(body) - 5
    if fill >= 4:
        body = handshake(name, seed, fill)
    return b"\x16\x03\x01" + len(body).to_bytes(2) + body


def handshake(name: bytes, seed: bytes, fill: int, more: bytes = b"") -> bytes:
    """The message alone, as QUIC carries it too. `fill`: bytes of padding, with its head; `more`: extensions."""
    drawn = shake_128(b"hello" + seed).digest(96)
    listed = b"\0" + len(name).to_bytes(2) + name
    sni = b"\0\0" + (len(listed) + 2).to_bytes(2) + len(listed).to_bytes(2) + listed
    padding = b"\0\x15" + (fill - 4).to_bytes(2) + b"\0" * (fill - 4) if fill >= 4 else b""
    extensions = sni + _TAIL + drawn[64:96] + _MORE + more + padding
    head = b"\x03\x03" + drawn[:32] + b"\x20" + drawn[32:64]
    head += len(_CIPHERS).to_bytes(2) + _CIPHERS + b"\x01\0"
    body = head + len(extensions).to_bytes(2) + extensions
    return b"\x01" + len(body).to_bytes(3) + body
