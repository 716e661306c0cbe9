"""Watches what the kernel counts of each transport, and the names that the active one gives, and says what looks odd.

A look costs a fraction of a millisecond. Names are looked at only while the household is using them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from routerd.model import Event, Launch, Sample, Sign, Suspected
from routerd.probe.prober import Prober
from routerd.signals import Watch, begin, look

BUSY, IDLE = 0.15, 0.5  # seconds between looks, while packets move and while none do
CALM = 5.0  # seconds without a packet
NAMES_EVERY = 3.0  # seconds between looks at names, while the household uses them
REPEAT = 1.0  # seconds until the same sign is said again

Read = Callable[[Sequence[Launch]], Mapping[str, Sample]]


@dataclass(slots=True)
class Vigil:
    """`samples` are those of the last look."""

    put: Callable[[Event], None]
    read: Read
    prober: Prober
    launches: Sequence[Launch] = ()
    samples: Mapping[str, Sample] = field(default_factory=dict)
    _watches: dict[str, Watch] = field(default_factory=dict)
    _said: dict[tuple[str, Sign], float] = field(default_factory=dict)
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
        before, self.samples = self.samples, self.read(self.launches)
        self._moved = now if before != self.samples else self._moved
        self._watches = {name: w for name, w in self._watches.items() if name in self.samples}
        for name, sample in self.samples.items():
            watch = self._watches.get(name) or begin(sample, now)
            self._watches[name], sign = look(watch, sample, now, self.prober.latency(name))
            if sign:
                self._say(name, sign, now)

    def _say(self, name: str, sign: Sign, now: float) -> None:
        if now >= self._said.get((name, sign), 0.0) + REPEAT:
            self._said[name, sign] = now
            self.put(Suspected(name, sign))

    async def _watch_names(self) -> None:
        before = 0
        while True:
            await asyncio.sleep(NAMES_EVERY * random.uniform(0.7, 1.3))
            if (probe := self.prober.watched()) is None:
                continue
            entered = self.samples.get(probe.name, Sample()).entered
            if entered != before and await self.prober.names.odd(probe, random.choice(probe.targets)):
                self._say(probe.name, "forged", time.monotonic())
            before = entered
