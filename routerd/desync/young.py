"""A flow's first packets: held until what they say is whole, then let go as they are, or others sent in their place.

Pure: packets in; verdicts, packets and signs out, which the worker takes from the three lists. Here is which flow a
packet belongs to, and how long one is waited for and remembered; client.py, datagrams.py and server.py listen.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from routerd.desync import client, datagrams
from routerd.desync.flow import Flow, Held, Key
from routerd.desync.outcome import ACCEPT, DROP, Choose, Outcome
from routerd.desync.packet import TCP, Packet
from routerd.desync.server import answered

MOST = 4096  # flows that are remembered
STALE = 120.0  # seconds after which one may be forgotten
PATIENCE = 0.25  # seconds that the rest of a hello is waited for; less than what the watchdog takes for a hung worker


class Young:
    """`mark`: what lets a packet pass, given its own."""

    def __init__(self, choose: Choose, mark: Callable[[int], int]) -> None:
        self._out = Outcome(choose, mark)
        self.verdicts, self.packets, self.signs = self._out.verdicts, self._out.packets, self._out.signs
        self._flows: dict[Key, Flow] = {}
        self._waiting: dict[Key, Flow] = {}

    def take(self, number: int, mark: int, packet: Packet | None, local: bool, now: float) -> None:
        """`local`: it is for the box itself, so that it was not forwarded yet."""
        if packet is None:  # nothing that a client of a page sends; nobody has looked into it
            self.verdicts.append((number, DROP, 0))
            return
        back = self._flows.get((packet.proto, packet.dst, packet.dport, packet.src, packet.sport))
        if back is not None:
            answered(back, packet, local, now, self._out)
            self._out.answer(number, mark, ACCEPT)
            return
        key = (packet.proto, packet.src, packet.sport, packet.dst, packet.dport)
        flow = self._flows.get(key)
        if flow is None or flow.opened_anew_by(packet):
            flow = self._begin(key, now)
        self._said(key, flow, Held(number, mark, packet), now)

    def due(self, now: float) -> None:
        """What has been held for too long is dealt with as far as it is known."""
        for key, flow in list(self._waiting.items()):
            if now - flow.at < PATIENCE:
                break
            self._settle(key, flow, now)

    def holds(self) -> bool:
        return bool(self._waiting)

    def _forget(self, now: float) -> None:
        """Two old ones for each new one: what a household's flows said is not kept for longer than it is of use."""
        for key in list(islice(self._flows, 2)):
            if now - self._flows[key].at > STALE and key not in self._waiting:
                del self._flows[key]

    def _begin(self, key: Key, now: float) -> Flow:
        self._forget(now)
        if len(self._flows) >= MOST:
            oldest = next(iter(self._flows))
            if oldest in self._waiting:
                self._settle(oldest, self._flows[oldest], now)
            del self._flows[oldest]
        self._flows.pop(key, None)
        if (before := self._waiting.pop(key, None)) is not None:
            self._out.give(before, DROP)  # nobody waits for it any more
        flow = self._flows[key] = Flow(now)
        return flow

    def _said(self, key: Key, flow: Flow, got: Held, now: float) -> None:
        if got.packet.proto == TCP:
            whole = client.take(flow, got, now, self._out)
        else:
            whole = datagrams.take(flow, got, now, self._out)
        if flow.held:
            self._waiting.setdefault(key, flow)
        if whole:
            self._settle(key, flow, now)

    def _settle(self, key: Key, flow: Flow, now: float) -> None:
        self._waiting.pop(key, None)
        flow.settled = True
        room = datagrams if flow.stream is None else client
        room.settle(flow, now, self._out)
