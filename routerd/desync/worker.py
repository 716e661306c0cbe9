"""The desync worker: an engine of its own, with the right to see first packets and to send others in their place.

Reads `{"slot", "queue", "strategy"}` on stdin. Writes nothing anywhere: what it knows of sites is in memory, under a
key that dies with it. The daemon asks it by a socket of the abstract kind (door.py), of this box's network alone.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from ipaddress import ip_address

from routerd.desync.choice import Choice
from routerd.desync.crawl import DOUBT
from routerd.desync.door import Door
from routerd.desync.grammar import parse as strategy
from routerd.desync.packet import Packet, build, parse
from routerd.desync.prior import HTTP, TLS
from routerd.desync.search import Searches
from routerd.desync.young import Young
from routerd.host.nfqueue import Queue
from routerd.model import DESYNCED_SLOT, SLOT_MASK, mark

AUTO = "auto"
CALM = 10.0  # seconds between two doubts
STEP = 0.1  # seconds between looks at what is held for too long


class Sender:
    """Raw sockets, by family. What cannot be sent is lost like any packet; its client sends it again."""

    def __init__(self) -> None:
        self._sockets = {4: _raw(socket.AF_INET), 16: _raw(socket.AF_INET6)}

    def send(self, packet: Packet) -> None:
        family = socket.AF_INET if len(packet.dst) == 4 else socket.AF_INET6
        try:
            self._sockets[len(packet.dst)].sendto(build(packet), (socket.inet_ntop(family, packet.dst), 0))
        except OSError:
            return


def _raw(family: socket.AddressFamily) -> socket.socket:
    made = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark(DESYNCED_SLOT))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return made


class Worker:
    """One loop, no thread: the queue first, then whoever asks."""

    def __init__(self, slot: int, queue: int, text: str) -> None:
        trials = tuple(strategy(each) for each in (*TLS, *HTTP))
        self.choice = Choice(None if text == AUTO else strategy(text), os.urandom(32), trials)
        self.young = Young(self.choice.of, _passed)
        self.queue = Queue(queue)
        self.sender = Sender()
        self.selector = selectors.DefaultSelector()
        self.searches = Searches(self.choice, slot, self.selector, self.doubt)
        self.doubted = -CALM
        self.door = Door(self.choice, self.searches, slot, self.selector)
        self.selector.register(self.queue.sock, selectors.EVENT_READ, self.packets)

    def run(self) -> None:
        while True:
            for key, _ in self.selector.select(STEP if self.young.holds() else None):
                act: Callable[[], None] = key.data
                act()
            if self.young.holds():
                self.young.due(time.monotonic())
                self.flush()

    def packets(self) -> None:
        now, take = time.monotonic(), self.young.take
        for number, its_mark, local, data in self.queue.receive():
            take(number, its_mark, parse(data), local, now)
        self.flush()
        for sign, ask in self.young.signs:
            if sign == "heard":
                self.choice.heard(ask)
            elif sign == "unanswered":
                self.doubt()
            elif self.choice.failed(sign, ask, now):
                address = str(ip_address(ask.address))
                self.searches.begin(ask, ask.host or address, address, sign)
        self.young.signs.clear()

    def doubt(self) -> None:
        """Told to the daemon, which has the canaries asked for: not which site it was."""
        if (now := time.monotonic()) >= self.doubted + CALM:
            self.doubted = now
            print(DOUBT, file=sys.stderr, flush=True)

    def flush(self) -> None:
        """Others are sent before those are let go, or dropped, which they are in the place of."""
        for packet in self.young.packets:
            self.sender.send(packet)
        if self.young.verdicts:
            self.queue.verdicts(self.young.verdicts)
        self.young.packets.clear()
        self.young.verdicts.clear()


def _passed(its_mark: int) -> int:
    return (its_mark & ~SLOT_MASK) | mark(DESYNCED_SLOT)


def main() -> None:
    settings = json.load(sys.stdin)
    Worker(settings["slot"], settings["queue"], settings["strategy"]).run()


if __name__ == "__main__":
    try:
        main()
    except OSError as e:
        sys.exit(f"desync: {e}")
