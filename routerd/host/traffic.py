"""What the kernel has counted of each transport, and whether its engine takes connections: cheap enough to ask often.

One dump of the policy's counters and one of the listening sockets, over netlink; no packet is looked at.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from routerd.host import nfnetlink, sockets
from routerd.model import Launch, Sample, Tproxy
from routerd.render.policy import POLICY
from routerd.render.words import BACK, ENTERED, OUT, RESETS

_GETOBJ = (10 << 8) | 19  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETOBJ (linux/netfilter/nf_tables.h)
_TABLE, _NAME, _TYPE, _DATA, _COUNTER = 1, 2, 3, 4, 1  # NFTA_OBJ_*, NFT_OBJECT_COUNTER
_BYTES, _PACKETS = 1, 2  # NFTA_COUNTER_*
_INET, _DUMP, _ERROR, _DONE = 1, 0x300, 2, 3

Counts = Mapping[str, tuple[int, int]]  # a counter's name -> packets, bytes


class Traffic:
    """`read` gives the Sample of each launch. Holds its two netlink sockets."""

    def __init__(self) -> None:
        self._counters = nfnetlink.connect()
        self._listeners = sockets.connect()

    def close(self) -> None:
        self._counters.close()
        self._listeners.close()

    def read(self, launches: Iterable[Launch]) -> dict[str, Sample]:
        counts = counters(self._counters)
        waiting = sockets.backlogs(self._listeners)
        return {launch.name: _sample(launch, counts, waiting) for launch in launches}


def _sample(launch: Launch, counts: Counts, waiting: Mapping[int, int]) -> Sample:
    def of(kind: str) -> tuple[int, int]:
        return counts.get(f"{kind}{launch.slot}", (0, 0))

    (entered, _), (out, up), (back, down), (resets, _) = of(ENTERED), of(OUT), of(BACK), of(RESETS)
    backlog = waiting.get(launch.exit.port, 0) if isinstance(launch.exit, Tproxy) else 0
    return Sample(entered, out, up, back, down, resets, backlog)


def counters(sock: socket.socket) -> Counts:
    """The policy table's named counters; none where the table is not there."""
    asked = nfnetlink.attribute(_TABLE, POLICY.encode() + b"\0")
    asked += nfnetlink.attribute(_TYPE, struct.pack(">I", _COUNTER))
    sock.send(nfnetlink.message(_GETOBJ, nfnetlink.REQUEST | _DUMP, _INET, 0, asked))
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    while True:
        for kind, body in _messages(sock.recv(1 << 16)):
            if kind == _DONE:
                return dict(found)
            if kind == _ERROR:
                code = -struct.unpack_from("=i", body)[0]
                if code in (0, errno.ENOENT, errno.EINTR):
                    return dict(found)
                raise OSError(code, os.strerror(code))
            attributes = _attributes(body[4:])
            data = _attributes(attributes[_DATA])
            name = attributes[_NAME].rstrip(b"\0").decode()
            found[name] = (int.from_bytes(data[_PACKETS]), int.from_bytes(data[_BYTES]))


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        yield kind, data[offset + 16 : offset + length]
        offset += max(16, (length + 3) & ~3)


def _attributes(data: bytes) -> dict[int, bytes]:
    found, offset = {}, 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += max(4, (length + 3) & ~3)
    return found
