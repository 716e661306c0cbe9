"""Asks for the date: soon while it is not known, then every few hours. No fixed rhythm."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from routerd.clock import verdict
from routerd.host.clock import uptime
from routerd.model import Clock, Dated, Event
from routerd.probe.date import ask

FIRST, LONGEST = 1.5, 900.0  # seconds between rounds while the date is not known; doubled each time
KNOWN = 6 * 3600.0  # seconds until it is asked for again


@dataclass(slots=True)
class Timekeeper:
    """`put` gets a Dated event for each verdict; `floor` gives the earliest date to be believed."""

    put: Callable[[Event], None]
    floor: Callable[[], float]
    _clock: Clock = field(default_factory=Clock)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def apply(self, clock: Clock) -> None:
        """A new way to ask is used at once, while the date is not known; transports that come and go are none."""
        before, self._clock = self._clock, clock
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        elif clock.booted is None and _kind(before) != _kind(clock):
            self._wake.set()

    def stop(self) -> None:
        if self._task:
            self._task.cancel()

    async def _run(self) -> None:
        pause = FIRST
        while True:
            if await self._woken(pause * random.uniform(0.7, 1.3)):
                pause = FIRST
            known = await self._round()
            pause = KNOWN if known else FIRST if pause >= KNOWN else min(LONGEST, 2 * pause)

    async def _woken(self, pause: float) -> bool:
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _round(self) -> bool:
        """All ways at once; the first verdict counts."""
        clock = self._clock
        tasks = [asyncio.create_task(self._through(clock.sources, slot)) for slot in clock.ways]
        try:
            for done in asyncio.as_completed(tasks):
                if (booted := await done) is not None:
                    self.put(Dated(booted))
                    return True
            return False
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _through(self, sources: tuple[str, ...], slot: int) -> float | None:
        return verdict(await ask(sources, slot), self.floor(), uptime())


def _kind(clock: Clock) -> tuple[bool, bool, bool]:
    return bool(clock.ways), clock.proven, clock.direct
