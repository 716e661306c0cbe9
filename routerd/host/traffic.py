"""What the kernel has counted of each transport, and whether its engine takes what comes: cheap enough to ask often.

One dump of the policy's counters and one of the listening sockets, over netlink; no packet is looked at.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence

from routerd.host import nfnetlink, nfqueue, sockets
from routerd.model import Launch, Queue, Sample, Tproxy, Upstream
from routerd.render.policy import POLICY
from routerd.render.words import BACK, ENTERED, NAMES, OUT, RESETS

_GETOBJ = (10 << 8) | 19  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETOBJ (linux/netfilter/nf_tables.h)
_TABLE, _NAME, _TYPE, _DATA, _COUNTER = 1, 2, 3, 4, 1  # NFTA_OBJ_*, NFT_OBJECT_COUNTER
_BYTES, _PACKETS = 1, 2  # NFTA_COUNTER_*
_INET = 1

Counts = Mapping[str, tuple[int, int]]  # a counter's name -> packets, bytes


class Traffic:
    """Of `launches`: `samples` as of the last look; `names`: packets of the household's questions for names, then.

    A look whose answer the kernel lost finds what the one before it found: the next is soon.
    """

    def __init__(self) -> None:
        self.launches: Sequence[Launch] = ()
        self.samples: Mapping[str, Sample] = {}
        self.names = 0
        self._owners: dict[int, tuple[str, Sample]] = {}  # whose a slot is, and what its counters were when it began
        self._counters = nfnetlink.connect()
        self._diag = sockets.connect()

    def close(self) -> None:
        self._counters.close()
        self._diag.close()

    def look(self) -> Mapping[str, Sample]:
        with contextlib.suppress(OSError):
            counts = counters(self._counters)
            self.names = counts.get(NAMES, (0, 0))[0]
            waiting = dict(sockets.backlogs(self._diag)) if self._may_wait(counts) else {}
            if any(isinstance(launch.exit, Queue) for launch in self.launches):
                waiting |= {-number: packets for number, packets in nfqueue.waiting().items()}
            self.samples = {
                launch.name: self._own(launch, _sample(launch, counts, waiting)) for launch in self.launches
            }
        return self.samples

    def _own(self, launch: Launch, sample: Sample) -> Sample:
        """Without what was counted for one that had the slot before: counters outlive an apply."""
        if self._owners.setdefault(launch.slot, (launch.name, Sample()))[0] != launch.name:
            self._owners[launch.slot] = (launch.name, sample)
        return _since(self._base(launch), sample)

    def _base(self, launch: Launch) -> Sample:
        return self._owners.get(launch.slot, ("", Sample()))[1]

    def _may_wait(self, counts: Counts) -> bool:
        """Whether a connection may wait for its engine: the kernel walks all its sockets to tell."""
        entered = {
            launch.name: counts.get(f"{ENTERED}{launch.slot}", (0, 0))[0] - self._base(launch).entered
            for launch in self.launches
        }
        before = {name: sample.entered for name, sample in self.samples.items()}
        return entered != before or any(sample.backlog for sample in self.samples.values())

    def count(self, name: str) -> Sample:
        """Of this moment."""
        return self.look().get(name, Sample())

    def received(self, name: str) -> list[tuple[int, int]]:
        """Cookie and bytes received of each TCP connection to its server."""
        servers = {(str(at.address), at.first) for at in self._upstreams(name) if at.proto == "tcp"}
        with contextlib.suppress(OSError):
            return sockets.received(self._diag, servers) if servers else []
        return []

    def has_connections(self, name: str) -> bool:
        """Whether they can be told one from the other out here."""
        return any(at.proto == "tcp" for at in self._upstreams(name))

    def _upstreams(self, name: str) -> Iterable[Upstream]:
        return (at for e in self.launches if e.name == name for at in e.upstreams if at.address)


def _sample(launch: Launch, counts: Counts, waiting: Mapping[int, int]) -> Sample:
    def of(kind: str) -> tuple[int, int]:
        return counts.get(f"{kind}{launch.slot}", (0, 0))

    (entered, _), (out, up), (back, down), (resets, _) = of(ENTERED), of(OUT), of(BACK), of(RESETS)
    backlog = waiting.get(_door(launch), 0)
    return Sample(entered, out, up, back, down, resets, backlog)


def _door(launch: Launch) -> int:
    """Its engine's port, or the number of its queue, negative."""
    match launch.exit:
        case Tproxy(port):
            return port
        case Queue(number):
            return -number
        case _:
            return 0


def _since(base: Sample, now: Sample) -> Sample:
    return Sample(
        now.entered - base.entered,
        now.out - base.out,
        now.up - base.up,
        now.back - base.back,
        now.down - base.down,
        now.resets - base.resets,
        now.backlog,
    )


def counters(sock: socket.socket) -> Counts:
    """The policy table's named counters; none where the table is not there."""
    wanted = nfnetlink.attribute(_TABLE, POLICY.encode() + b"\0")
    wanted += nfnetlink.attribute(_TYPE, struct.pack(">I", _COUNTER))
    found = {}
    for counter in nfnetlink.dump(sock, _GETOBJ, _INET, wanted):
        data = nfnetlink.attributes(counter[_DATA])
        name = counter[_NAME].rstrip(b"\0").decode()
        found[name] = (int.from_bytes(data[_PACKETS]), int.from_bytes(data[_BYTES]))
    return found
