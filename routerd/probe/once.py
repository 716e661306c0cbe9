"""One probe: targets in parallel by the household's own path, judged as soon as there is something to judge.

The first good answer ends it. Silence is told from loss by what the kernel counted meanwhile: where packets went out
and none came back it is over after `patience`, after half of that where resets came; else it gets LONGEST.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from routerd.model import Finding, Probe, Sample, mark
from routerd.probe.https import Answer, ProbeError, fetch
from routerd.probe.names import Names
from routerd.signals import HELD, held_since

LONGEST = 5.0  # seconds
TRIED = 6  # packets without any answer: at 20 % loss each way that happens to one sound probe of a thousand
RESET = 0.5  # of the patience: an engine that dials again and again keeps the resets it gets to itself
STEP, STARVED = 0.1, 0.5  # seconds between looks; so much later than asked, and this box was too busy to judge

Count = Callable[[], Sample]


class Starved(Exception):
    """We were too slow ourselves: the probe says nothing."""


async def race(probe: Probe, targets: Iterable[str], names: Names, patience: float, count: Count) -> float:
    """Seconds of the quickest verified answer. Raises ProbeError, with what was found, or Starved."""
    tasks = {asyncio.create_task(_through(probe, target, names)) for target in targets}
    try:
        return await _first_good(probe, tasks, patience, count)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _first_good(probe: Probe, tasks: set[asyncio.Task[float]], patience: float, count: Count) -> float:
    began, pending = time.monotonic(), tasks
    meanwhile, errors, starved = Meanwhile(count()), list[ProbeError](), False
    while pending:
        asked = time.monotonic()
        done, pending = await asyncio.wait(pending, timeout=STEP, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            try:
                return task.result()
            except ProbeError as e:
                errors.append(e)
        now = time.monotonic()
        starved = starved or now - asked > STEP + STARVED
        meanwhile.look(count(), now)
        waited = now - began >= patience * (RESET if meanwhile.reset else 1)
        if pending and waited and (error := _over(probe, meanwhile, now)):
            errors = [error]
            break
    if starved:
        raise Starved
    raise _plainest(errors, heard=meanwhile.heard)


def _over(probe: Probe, meanwhile: Meanwhile, now: float) -> ProbeError | None:
    """Why not to wait for LONGEST."""
    if probe.sign == "forged":
        return ProbeError("a name leads to an address that no other exit gives, and nothing is there", "forged")
    finding = meanwhile.unheard(now)
    return ProbeError("no answer, and nothing is heard from its server", finding) if finding else None


@dataclass(slots=True)
class Meanwhile:
    """What the kernel counts while a probe is under way. `held`: since when its engine takes no connections."""

    before: Sample
    last: Sample = field(init=False)
    held: float | None = None

    def __post_init__(self) -> None:
        self.last = self.before

    def look(self, sample: Sample, now: float) -> None:
        self.held, self.last = held_since(self.held, self.last, sample, now), sample

    @property
    def heard(self) -> bool:
        return self.last.back > self.before.back

    @property
    def reset(self) -> bool:
        return self.last.resets > self.before.resets

    def unheard(self, now: float) -> Finding | None:
        """Why there is nothing to wait for any more, if so."""
        before, last = self.before, self.last
        if self.held is not None and now - self.held >= HELD:
            return "hung"
        if self.reset:
            return "refused"
        out, entered = last.out - before.out, last.entered - before.entered
        if not out and entered >= TRIED:  # what went in did not come out, whatever its server may still be sending
            return "hung"
        return "silent" if not self.heard and max(out, entered) >= TRIED else None


def _plainest(errors: list[ProbeError], *, heard: bool) -> ProbeError:
    """What most of them found; a time-out while its server was heard is slowness."""
    findings = Counter(error.finding for error in errors)
    finding = findings.most_common(1)[0][0]
    words = next(str(error) for error in errors if error.finding == finding)
    if finding == "silent" and heard:
        finding = "slow"
    return ProbeError(words, finding)


async def _through(probe: Probe, target: str, names: Names) -> float:
    """Seconds from the first packet to a verified answer; a look-up that was needed first is not counted."""
    address = await names.address(probe, target, LONGEST)
    began = time.monotonic()
    judge(target, await fetch(target, address, mark(probe.slot), LONGEST))
    names.shown(target, address)
    return time.monotonic() - began


def judge(target: str, answer: Answer) -> None:
    """A verified certificate and the right answer: neither a block page nor a captive portal gives both."""
    if target.endswith("generate_204") and (answer.status != 204 or answer.body):
        raise ProbeError(f"the answer was changed on the way (status {answer.status})", "forged")
    if not 200 <= answer.status < 400:
        raise ProbeError(f"the target answered with status {answer.status}", "slow")
