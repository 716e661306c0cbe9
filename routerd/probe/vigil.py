"""Watches what the kernel counts of each transport, and the names that the active one gives, and says what looks odd.

A look costs a fraction of a millisecond. Names are looked at only when the household has asked for some.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from routerd.flows import Flows, mute, scan, stalled
from routerd.host.traffic import Traffic
from routerd.model import Event, Sign, Suspected
from routerd.probe.prober import Prober
from routerd.signals import Watch, begin, look

BUSY, IDLE = 0.15, 0.5  # seconds between looks, while packets move and while none do
CALM, LINGER = 2.0, 5.0  # seconds without a packet: until looks are rare, and until connections are not looked at
FLOWS_EVERY = 0.7  # seconds between looks at the active transport's connections, while packets move
PAUSE = 1.0  # seconds, while no transport is watched
REPEAT = 1.0  # seconds until the same sign is said again


@dataclass(slots=True)
class Vigil:
    put: Callable[[Event], None]
    traffic: Traffic
    prober: Prober
    _watches: dict[str, Watch] = field(default_factory=dict)
    _said: dict[tuple[str, Sign], float] = field(default_factory=dict)
    _flows: Flows = field(default_factory=dict)
    _scanned: float = 0.0
    _moved: float = 0.0

    async def run(self) -> None:
        names = asyncio.create_task(self._watch_names())
        try:
            while True:
                await asyncio.sleep(BUSY if time.monotonic() < self._moved + CALM else IDLE)
                self._look(time.monotonic())
        finally:
            names.cancel()

    def _look(self, now: float) -> None:
        before, samples = self.traffic.samples, self.traffic.look()
        self._moved = now if before != samples else self._moved
        self._watches = {name: w for name, w in self._watches.items() if name in samples}
        for name, sample in samples.items():
            watch = self._watches.get(name) or begin(sample, now)
            self._watches[name], sign = look(watch, sample, now, self.prober.latency(name))
            if sign and (sign != "stalled" or self._may_dwindle(name)):
                self._say(name, sign, now)
        if now < self._moved + LINGER and now >= self._scanned + FLOWS_EVERY:
            self._scan(now)

    def _may_dwindle(self, name: str) -> bool:
        """A standby's only flow is our own probe's; and where connections can be told apart, they are looked at."""
        probe = self.prober.watched()
        return probe is not None and probe.name == name and not self.traffic.has_connections(name)

    def _scan(self, now: float) -> None:
        self._scanned = now
        probe = self.prober.watched()
        self._flows = scan(self._flows, self.traffic.received(probe.name) if probe else (), now)
        if probe and mute(self._flows, now):
            self._say(probe.name, "mute", now)
        elif probe and stalled(self._flows, now):
            self._say(probe.name, "stalled", now)

    def _say(self, name: str, sign: Sign, now: float) -> None:
        if now >= self._said.get((name, sign), 0.0) + REPEAT:
            self._said[name, sign] = now
            self.put(Suspected(name, sign))

    async def _watch_names(self) -> None:
        """What is censored here is asked for every other time: that is what they lie about."""
        before, turn = self.traffic.names, 0
        while True:
            probe = self.prober.watched()
            await asyncio.sleep((probe.names_every if probe else PAUSE) * random.uniform(0.7, 1.3))
            probe, asked = self.prober.watched(), self.traffic.names
            if probe is None or asked == before:
                continue
            before, turn = asked, turn + 1
            target = random.choice(probe.canaries if turn % 2 and probe.canaries else probe.targets)
            if await self.prober.names.odd(probe, target, self.prober.other(probe)):
                self._say(probe.name, "forged", time.monotonic())
