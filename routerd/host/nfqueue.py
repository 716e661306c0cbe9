"""A netfilter queue over raw netlink: packets wait in the kernel until their verdict (linux/nfnetlink_queue.h).

No library: the ones there are copy each packet several times, and this is the hot path of the desync worker.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from errno import EPERM
from pathlib import Path
from socket import htonl

_NETLINK_NETFILTER, _SUBSYSTEM = 12, 3 << 8
_PACKET, _VERDICT, _CONFIG = 0, 1, 2
_HEADER, _MARK, _PAYLOAD = 1, 3, 10  # NFQA_PACKET_HDR, NFQA_MARK, NFQA_PAYLOAD
_MESSAGE = struct.Struct("=IHHIIBBHHHIIHHI")  # a verdict: nlmsghdr, nfgenmsg, NFQA_VERDICT_HDR, NFQA_MARK
_BIND, _PARAMS, _MAXLEN = 1, 2, 3  # NFQA_CFG_*
BATCH = 64
DROP, ACCEPT = 0, 1
LENGTH = 4096  # packets that wait at most; what comes then is dropped
BUFFER = 8 << 20  # bytes
_RCVBUFFORCE, _NO_ENOBUFS = 33, 5  # SO_RCVBUFFORCE, NETLINK_NO_ENOBUFS
_SOL_NETLINK = 270

Waiting = tuple[int, int, bool, bytes]  # its number, its mark, whether it is for the box itself, the IP packet
_LOCAL_IN = 1  # NF_INET_LOCAL_IN


def waiting() -> dict[int, int]:
    """Packets that wait in each queue of this network, by its number; none where nobody has asked for one yet."""
    try:
        lines = Path("/proc/net/netfilter/nfnetlink_queue").read_text().splitlines()
    except OSError:
        return {}
    return {int(words[0]): int(words[2]) for words in map(str.split, lines)}


class Queue:
    """Raises OSError: EPERM without CAP_NET_ADMIN, and also where another program holds the queue."""

    def __init__(self, number: int) -> None:
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._resource = socket.htons(number)
        self._buffer = bytearray(1 << 18)
        self.sock.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, BUFFER)
        self.sock.bind((0, 0))
        self._configure(_attribute(_BIND, struct.pack("!BBH", 1, 0, 0)))
        self._configure(_attribute(_PARAMS, struct.pack("!IB", 0xFFFF, 2)))  # whole packets
        self._configure(_attribute(_MAXLEN, struct.pack("!I", LENGTH)))
        self.sock.setsockopt(_SOL_NETLINK, _NO_ENOBUFS, 1)  # what did not fit waits until its flow is given up

    def receive(self) -> list[Waiting]:
        """Those that are there, BATCH at most. Never waits; each is a message of its own."""
        found: list[Waiting] = []
        data = memoryview(self._buffer)
        while len(found) < BATCH:
            try:
                size = self.sock.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            length, kind = struct.unpack_from("=IH", data)
            if kind == _SUBSYSTEM | _PACKET:
                found.append(_waiting(data, 20, min(size, length)))
        return found

    def verdicts(self, answers: Sequence[tuple[int, int, int]]) -> None:
        """Number, ACCEPT or DROP, mark: each in a message of its own, all in one call."""
        pack, resource = _MESSAGE.pack, self._resource
        self.sock.send(
            b"".join(
                [
                    pack(40, _SUBSYSTEM | _VERDICT, 1, 0, 0, 0, 0, resource, 12, 2, verdict, number, 8, _MARK, mark)
                    for number, verdict, mark in ((htonl(n), htonl(v), htonl(m)) for n, v, m in answers)
                ]
            )
        )

    def _configure(self, attributes: bytes) -> None:
        """Asks, and hears whether the kernel did it."""
        body = struct.pack("=BBH", 0, 0, self._resource) + attributes
        self.sock.send(struct.pack("=IHHII", 16 + len(body), _SUBSYSTEM | _CONFIG, 5, 1, 0) + body)
        code = -int(struct.unpack_from("=i", self.sock.recv(1 << 12), 16)[0])
        if code:
            why = "another program has it, or CAP_NET_ADMIN is missing" if code == EPERM else os.strerror(code)
            raise OSError(code, f"netfilter queue {socket.ntohs(self._resource)}: {why}")


def _waiting(data: memoryview, at: int, end: int) -> Waiting:
    number, mark, local = 0, 0, False
    payload = b""
    while at + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, at)
        if kind == _HEADER:
            number, local = int.from_bytes(data[at + 4 : at + 8]), data[at + 10] == _LOCAL_IN
        elif kind == _MARK:
            mark = int.from_bytes(data[at + 4 : at + 8])
        elif kind == _PAYLOAD:
            payload = bytes(data[at + 4 : at + length])
        at += max(4, (length + 3) & ~3)
    return number, mark, local, payload


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)
