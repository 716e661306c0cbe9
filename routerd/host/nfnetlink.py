"""The few bytes of nfnetlink that no library gives us where an event loop runs."""

from __future__ import annotations

import socket
import struct

NETLINK_NETFILTER = 12
REQUEST, ACK, CREATE = 0x1, 0x4, 0x400


def connect() -> socket.socket:
    found = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    found.bind((0, 0))
    found.settimeout(2)
    return found


def message(kind: int, flags: int, family: int, resource: int, attributes: bytes) -> bytes:
    """`kind`: subsystem << 8 | message."""
    body = struct.pack("=BBH", family, 0, socket.htons(resource)) + attributes
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """Of netlink's own kind (linux/netlink.h, nlattr), by their numbers."""
    found, offset = {}, 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += max(4, (length + 3) & ~3)
    return found


def ask(sock: socket.socket, data: bytes) -> int:
    """Sends, and gives the errno of the first answer: 0 when the kernel did it."""
    sock.send(data)
    return -int(struct.unpack_from("=i", sock.recv(1 << 16), 16)[0])
