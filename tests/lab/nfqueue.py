"""A netfilter queue over raw netlink, just what a DPI needs (linux/netfilter/nfnetlink_queue.h)."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .net import SO_RCVBUFFORCE

NETLINK_NETFILTER = 12
QUEUE_SUBSYSTEM = 3 << 8
PACKET, VERDICT, CONFIG = 0, 1, 2
DROP, ACCEPT = 0, 1


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def _attributes(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        found[kind & 0x7FFF] = data[at + 4:at + size]
        at += (size + 3) & ~3
    return found


@dataclass(frozen=True, slots=True)
class Queue:
    """One bound queue; packets wait in the kernel until their verdict."""

    number: int
    sock: socket.socket

    @classmethod
    def open(cls, number: int) -> "Queue":
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        sock.bind((0, 0))
        queue = cls(number, sock)
        queue._send(CONFIG, _attribute(1, struct.pack("!BBH", 1, 0, 0)))  # bind
        queue._send(CONFIG, _attribute(2, struct.pack("!IB", 0xFFFF, 2)))  # copy whole packets
        queue._send(CONFIG, _attribute(3, struct.pack("!I", 8192)))  # length
        return queue

    def _send(self, kind: int, attributes: bytes) -> None:
        body = struct.pack("!BBH", 0, 0, self.number) + attributes
        self.sock.send(struct.pack("=IHHII", 16 + len(body), QUEUE_SUBSYSTEM | kind, 1, 0, 0) + body)

    def receive(self) -> Iterator[tuple[int, bytes]]:
        """The next packets: id and IP packet. Blocks; ENOBUFS (packets lost to overload) is the caller's OSError."""
        data = self.sock.recv(1 << 18)
        at = 0
        while at + 16 <= len(data):
            size, kind = struct.unpack_from("=IH", data, at)
            if kind == QUEUE_SUBSYSTEM | PACKET:
                found = _attributes(data[at + 20:at + size])
                yield int.from_bytes(found[1][:4]), found.get(10, b"")
            at += (size + 3) & ~3

    def verdict(self, number: int, verdict: int, mark: int) -> None:
        """Let it go on (or not), with this packet mark."""
        head = _attribute(2, struct.pack("!II", verdict, number))
        self._send(VERDICT, head + _attribute(3, struct.pack("!I", mark)))
