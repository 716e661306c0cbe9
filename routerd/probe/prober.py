"""Probes each transport by the household's own path: a marked socket enters the exit as a household packet does.

No fixed rhythm: each pause is jittered. A doubt ends the pause, and whatever probe is under way: the next one goes
through several targets at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal
from urllib.parse import urlsplit

from routerd.model import Carried, Event, Finding, Probe, Probed, Sample, Sign, mark
from routerd.probe import large, once, udp
from routerd.probe.https import ProbeError, fetch
from routerd.probe.lookup import lookup
from routerd.probe.names import Names
from routerd.table import is_address

LATE, ON_A_LATE_LINE = 0.5, 3  # seconds of a small answer; large ones more that have to agree there
CONTROLS = 3  # other ways out that are asked whether it is the line
SEVERAL = 3  # targets of a probe that decides
UNKNOWN, SHORTEST, LONGEST = 1.5, 0.6, 4.0  # seconds of patience with silence: at first, at least, at most
PATIENT = 5.0  # times the last good latency
SUSPECT = 0.6  # of that, where the kernel had seen it before the probe began
SOON = 5.0  # seconds after the first good probe comes the first large one
AGAIN, SOONER = 1200.0, 120.0  # seconds between looks at IPv6, and where it was not carried

Ask = Callable[[], Awaitable[bool | None]]


@dataclass(slots=True)
class _Runs:
    probe: Probe
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    latency: float | None = None  # seconds
    large_at: float = float("inf")
    ipv6_at: float = 0.0


@dataclass(slots=True)
class Prober:
    """One task for each probe of the plan. `put` gets Probed and Carried events; `count` reads a transport's Sample."""

    put: Callable[[Event], None]
    count: Callable[[str], Sample]
    names: Names = field(default_factory=Names)
    _runs: dict[str, _Runs] = field(default_factory=dict)
    _latency: dict[str, float] = field(default_factory=dict)  # of the last good answer, in seconds; outlives a rest

    def apply(self, probes: Iterable[Probe]) -> None:
        wanted = {probe.name: probe for probe in probes}
        for name in [n for n in self._runs if n not in wanted or wanted[n].slot != self._runs[n].probe.slot]:
            if task := self._runs.pop(name).task:
                task.cancel()
        for name, probe in wanted.items():
            self._tend(name, probe)

    def latency(self, name: str) -> float:
        """Seconds that its last good answer took; of one that gave none yet, what we are patient for."""
        runs = self._runs.get(name)
        return runs.latency if runs and runs.latency is not None else UNKNOWN

    def watched(self) -> Probe | None:
        return next((runs.probe for runs in self._runs.values() if runs.probe.watched), None)

    def other(self, probe: Probe) -> Probe | None:
        """Another one that has carried a probe, to compare with."""
        sound = (runs.probe for runs in self._runs.values() if runs.latency is not None)
        return next((one for one in sound if one.name != probe.name), None)

    def _tend(self, name: str, probe: Probe) -> None:
        if name not in self._runs:
            runs = self._runs[name] = _Runs(probe)
            runs.task = asyncio.create_task(self._run(runs))
            return
        runs = self._runs[name]
        before, runs.probe = runs.probe, probe
        if probe.urgent > before.urgent or probe.interval < before.interval:
            runs.wake.set()

    async def _run(self, runs: _Runs) -> None:
        while True:
            runs.wake.clear()
            waking = asyncio.create_task(runs.wake.wait())
            probing = asyncio.create_task(self._round(runs))
            try:
                await asyncio.wait({probing, waking}, return_when=asyncio.FIRST_COMPLETED)
                if probing.done():
                    await probing
                    await asyncio.wait({waking}, timeout=runs.probe.interval * random.uniform(0.7, 1.3))
            finally:
                for task in (probing, waking):
                    task.cancel()
                await asyncio.gather(probing, waking, return_exceptions=True)

    async def _round(self, runs: _Runs) -> None:
        """A probe, and what is looked at after a good one. One that breaks in a way we did not think of has failed."""
        probe = runs.probe
        try:
            found = await self._small(runs, probe)
            if found.latency_ms is not None and (probe.sign == "stalled" or time.monotonic() >= runs.large_at):
                found = await self._large(runs, probe, found)
            self.put(found)
            if found.latency_ms is not None and not probe.urgent:
                await self._besides(runs, probe)
        except once.Starved:
            runs.wake.set()  # once more, at once
        except Exception as e:
            self.put(Probed(probe.name, None, f"the probe itself failed: {type(e).__name__}", "slow"))
        await asyncio.sleep(0)  # lets the loop turn the event into a new Probe before the pause is chosen

    async def _small(self, runs: _Runs, probe: Probe) -> Probed:
        several = probe.urgent or runs.latency is None
        targets = self._targets(probe, SEVERAL if several else 1)
        patience = _patience(probe, self._latency.get(probe.name))
        try:
            took = await once.race(probe, targets, self.names, patience, lambda: self.count(probe.name))
        except ProbeError as e:
            return Probed(probe.name, None, str(e), _finding(runs.probe.sign, e.finding), sign=probe.sign)
        self.names.doubted.pop(probe.name, None)
        if runs.latency is None:
            runs.large_at = time.monotonic() + SOON
        runs.latency = self._latency[probe.name] = took
        return Probed(probe.name, took * 1000, sign=probe.sign)

    def _targets(self, probe: Probe, count: int) -> list[str]:
        """Any; but where a name was answered oddly it is that one's answer that has to prove itself."""
        doubted = self.names.doubted.get(probe.name) if probe.sign == "forged" else None
        return random.sample(sorted(doubted or probe.targets), min(count, len(doubted or probe.targets)))

    async def _large(self, runs: _Runs, probe: Probe, small: Probed) -> Probed:
        runs.large_at = time.monotonic() + probe.large_every * random.uniform(0.7, 1.3)
        latency = (small.latency_ms or 0.0) / 1000
        gots = await self._measured(probe, 2 if probe.urgent else 1, latency)
        late = self._line_is_late(probe)
        more = ON_A_LATE_LINE if late else int(large.unsure(gots) or not probe.urgent)
        while more and any(gots) and not large.whole(gots):
            gots, more = await self._measured(probe, 2, latency), more - 1
        rate, stuck = large.verdict(gots)
        if stuck and not (late and not await self._elsewhere_whole(probe)):
            return Probed(probe.name, None, f"large answers are {stuck}", "frozen", sign=probe.sign)
        return Probed(probe.name, small.latency_ms, rate=rate, sign=probe.sign)

    def _others(self, probe: Probe) -> list[_Runs]:
        return [runs for runs in self._runs.values() if runs.latency is not None and runs.probe.name != probe.name]

    def _line_is_late(self, probe: Probe) -> bool:
        """Small answers come late by every other way, too. Through what is throttled they do by that one alone."""
        latencies = [runs.latency for runs in self._others(probe) if runs.latency is not None]
        return bool(latencies) and min(latencies) >= LATE

    async def _elsewhere_whole(self, probe: Probe) -> bool:
        """The control: a large answer comes another way just now. Else it is the line."""
        others = self._others(probe)
        some = random.sample(others, min(CONTROLS, len(others)))
        gots = [self._measure(r.probe, random.choice(r.probe.large), r.latency or 0.0) for r in some if r.probe.large]
        return bool(large.whole(await asyncio.gather(*gots)))

    async def _measured(self, probe: Probe, count: int, latency: float) -> list[large.Got | None]:
        """One source will do where nothing is suspected: they cost the most of all that we send."""
        sources = random.sample(probe.large, min(count, len(probe.large)))
        return await asyncio.gather(*(self._measure(probe, source, latency) for source in sources))

    async def _measure(self, probe: Probe, source: str, latency: float) -> large.Got | None:
        try:
            address = await self.names.address(probe, source, once.LONGEST)
        except ProbeError:
            return None
        return await large.measure(source, address, mark(probe.slot), latency)

    async def _besides(self, runs: _Runs, probe: Probe) -> None:
        if probe.udp:
            name = urlsplit(random.choice(probe.targets)).hostname or ""
            asked = (random.sample(probe.udp, 1), probe.udp)
            await self._try(probe, "udp", *(partial(udp.carries, probe.slot, some, name) for some in asked))
        if time.monotonic() >= runs.ipv6_at:
            carried = await self._try(probe, "ipv6", *[partial(_ipv6, probe)] * 2)
            runs.ipv6_at = time.monotonic() + (AGAIN if carried else SOONER)

    async def _try(self, probe: Probe, what: Literal["udp", "ipv6"], *asks: Ask) -> bool:
        """The first, where it is carried; where not, the next at once: it takes two to say so."""
        for ask in asks:
            if (ok := await ask()) is None:
                return True
            self.put(Carried(probe.name, what, ok))
            if ok:
                return True
        return False


def _finding(sign: Sign | None, found: Finding) -> Finding:
    """In the light of the signs there are by now."""
    if sign == "forged":
        return "forged"
    if sign == "mute" and found == "slow":
        return "silent"  # what was heard of its server were older connections
    return found


def _patience(probe: Probe, latency: float | None) -> float:
    if latency is None:
        return UNKNOWN
    return min(LONGEST, max(SHORTEST, PATIENT * latency)) * (
        SUSPECT if probe.sign in ("silent", "refused", "hung") else 1
    )


async def _ipv6(probe: Probe) -> bool | None:
    """Whether any target answers; None where none has an IPv6 address to try."""
    tried = None
    for target in random.sample(probe.targets, min(SEVERAL, len(probe.targets))):
        host = urlsplit(target).hostname or ""
        with contextlib.suppress(ProbeError):
            if not is_address(host) and (found := await lookup(host, probe.resolvers, probe.slot, 2.0, "AAAA")):
                tried = await _answers(target, str(found[0]), probe.slot)
        if tried:
            break
    return tried


async def _answers(target: str, address: str, slot: int) -> bool:
    try:
        await fetch(target, address, mark(slot), once.LONGEST)
    except ProbeError:
        return False
    return True
