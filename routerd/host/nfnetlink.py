"""The few bytes of nfnetlink that no library gives us where an event loop runs."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

NETLINK_NETFILTER = 12
REQUEST, ACK, DUMP, CREATE = 0x1, 0x4, 0x300, 0x400
_ERROR, _DONE = 2, 3


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


def dump(sock: socket.socket, kind: int, family: int, wanted: bytes) -> Iterator[dict[int, bytes]]:
    """The attributes of each object that the kernel lists; none where what holds them is not there."""
    sock.send(message(kind, REQUEST | DUMP, family, 0, wanted))
    while True:
        data, offset = sock.recv(1 << 16), 0
        while offset + 16 <= len(data):
            length, found = struct.unpack_from("=IH", data, offset)
            if found == _DONE:
                return
            if found == _ERROR:
                code = -int(struct.unpack_from("=i", data, offset + 16)[0])
                if code in (0, errno.ENOENT, errno.EINTR):
                    return
                raise OSError(code, os.strerror(code))
            yield attributes(data[offset + 20 : offset + length])
            offset += max(16, (length + 3) & ~3)
