"""Probes each transport by the household's own path: a marked socket enters the exit as a household packet does.

No fixed rhythm: each pause is jittered. A strike brings the next probe at once, through several targets in parallel.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from routerd.model import Event, Probe, Probed, mark
from routerd.plan import is_address
from routerd.probe.https import Answer, ProbeError, fetch
from routerd.probe.lookup import lookup

FIRST_TIMEOUT, SHORTEST, LONGEST = 5.0, 1.5, 4.0  # seconds
PATIENT = 6.0  # a probe may take this many times the last good latency
REMEMBER = 600.0  # seconds an address of a target is kept


@dataclass(slots=True)
class Prober:
    """One task for each probe of the plan. `put` gets Probed events."""

    put: Callable[[Event], None]
    _tasks: dict[str, tuple[Probe, asyncio.Task[None], asyncio.Event]] = field(default_factory=dict)
    _latency: dict[str, float] = field(default_factory=dict)
    _addresses: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)

    def apply(self, probes: Iterable[Probe]) -> None:
        wanted = {probe.name: probe for probe in probes}
        for name in [n for n in self._tasks if n not in wanted or wanted[n].slot != self._tasks[n][0].slot]:
            self._tasks.pop(name)[1].cancel()
            self._latency.pop(name, None)
        for name, probe in wanted.items():
            self._tend(name, probe)

    def _tend(self, name: str, probe: Probe) -> None:
        if name not in self._tasks:
            wake = asyncio.Event()
            self._tasks[name] = (probe, asyncio.create_task(self._run(name, wake)), wake)
            return
        before, task, wake = self._tasks[name]
        self._tasks[name] = (probe, task, wake)
        if probe.urgent > before.urgent or probe.interval < before.interval:
            wake.set()

    async def _run(self, name: str, wake: asyncio.Event) -> None:
        while True:
            probe = self._tasks[name][0]
            wake.clear()
            self.put(await self._safely(probe))
            await asyncio.sleep(0)  # lets the loop turn the event into a new Probe before the pause is chosen
            try:
                async with asyncio.timeout(self._tasks[name][0].interval * random.uniform(0.7, 1.3)):
                    await wake.wait()
            except TimeoutError:
                pass

    async def _safely(self, probe: Probe) -> Probed:
        """A probe that breaks in a way we did not think of is a failed probe, and the prober lives on."""
        try:
            return await self._once(probe)
        except Exception as e:
            return Probed(probe.name, None, f"the probe itself failed: {type(e).__name__}")

    async def _once(self, probe: Probe) -> Probed:
        count = min(3, len(probe.targets)) if probe.urgent or probe.name not in self._latency else 1
        targets = random.sample(probe.targets, count)
        tasks = [asyncio.create_task(self._through(probe, target)) for target in targets]
        error = "no target"
        try:
            for done in asyncio.as_completed(tasks):
                try:
                    latency = await done
                    self._latency[probe.name] = latency
                    return Probed(probe.name, latency * 1000)
                except ProbeError as e:
                    error = str(e)
            return Probed(probe.name, None, error)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _through(self, probe: Probe, target: str) -> float:
        """Seconds from the first packet to a verified answer; a look-up that was needed first is not counted."""
        known = self._latency.get(probe.name)
        timeout = FIRST_TIMEOUT if known is None else min(LONGEST, max(SHORTEST, PATIENT * known))
        address = await self._address(probe, target, timeout)
        began = time.monotonic()
        _judge(target, await fetch(target, address, mark(probe.slot), timeout))
        return time.monotonic() - began

    async def _address(self, probe: Probe, target: str, timeout: float) -> str:
        host = urlsplit(target).hostname or ""
        if is_address(host):
            return host
        until, address = self._addresses.get((probe.name, host), (0.0, ""))
        if time.monotonic() > until:
            found = await lookup(host, probe.resolvers, probe.slot, timeout)
            address = str(found[0])
            self._addresses[(probe.name, host)] = (time.monotonic() + REMEMBER, address)
        return address


def _judge(target: str, answer: Answer) -> None:
    """A verified certificate and the right answer: neither a block page nor a captive portal gives both."""
    if target.endswith("generate_204") and (answer.status != 204 or answer.body):
        raise ProbeError(f"the answer was changed on the way (status {answer.status})")
    if not 200 <= answer.status < 400:
        raise ProbeError(f"the target answered with status {answer.status}")
