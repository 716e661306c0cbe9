"""One strike from calm to calm, whoever is struck."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.failover.household import Household
from bench.failover.outage import Download, Request, lost, steady, without_service
from bench.failover.strikes import Scene, Strike

BITE = 3.0  # seconds within which a strike is felt, if at all
HANGING = 1.5  # seconds without a byte; the site sends several times a second


@dataclass(frozen=True, slots=True)
class Struck:
    """`seconds` is None when service was not back in the window; `felt`: whether a request was lost at all.

    Downloads that were held: `reset` has, for each that was broken, when (seconds after the strike); `hanging` counts
    those that were silent at the end and never broken. `decided`: seconds until the daemon said that it moved.
    """

    seconds: float | None
    stages: Mapping[str, int]
    reset: tuple[float, ...] = ()
    hanging: int = 0
    decided: float | None = None
    to: str | None = None
    at: float = field(default=0.0)

    @property
    def felt(self) -> bool:
        return bool(self.stages)


def measure(household: Household, scene: Callable[[], Scene], strike: Strike, spread: float, window: float) -> Struck:
    """`spread`: the strike comes at any moment within so many seconds, so as not to lock to anyone's rhythm.

    `window`: how long we wait for the service to come back.
    """
    _calm(household, strike)
    time.sleep(random.uniform(0, spread))
    now = scene()
    household.forget()
    with strike.do(now) as struck:
        since = _first_request(household, strike) if strike.idle else struck
        _wait(household, since, window)
        requests = list(household.requests)
        household.hold(0)
        time.sleep(0.2)
        downloads = [d for d in household.downloads if d.began < struck and d.ended > struck]
    return _judged(requests, downloads, since)


def _calm(household: Household, strike: Strike) -> None:
    household.ask(strike.ask)
    household.served()
    if strike.idle:
        household.ask("nothing")
        time.sleep(2)
    else:
        household.hold()
        time.sleep(1)


def _first_request(household: Household, strike: Strike) -> float:
    time.sleep(random.uniform(0, 1))
    since = time.monotonic()
    household.ask(strike.ask)
    return since


def _wait(household: Household, since: float, window: float) -> None:
    """Until the household was without service and has it again, or the window is over."""
    while (now := time.monotonic()) < since + window:
        felt = bool(lost(household.requests, since)) or now > since + BITE
        if felt and steady(household.requests, since):
            return
        time.sleep(0.05)


def _judged(requests: list[Request], downloads: list[Download], since: float) -> Struck:
    calm = steady(requests, since)
    stages = Counter(r.stage for r in lost(requests, since))
    reset = tuple(sorted(d.ended - since for d in downloads if d.broken))
    hanging = sum(not d.broken and d.ended - d.last > HANGING for d in downloads)
    return Struck(without_service(requests, since) if calm else None, dict(stages), reset, hanging, at=since)
