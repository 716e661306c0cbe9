"""python -m bench.soak [--minutes M] [--only KIND]: switches that were not needed, while the line or the box is bad.

Nothing is blocked here, so every change of the active transport was needless: the exit status is 1 if there was one.
The household asks for a name and a page every 50 ms and holds ten downloads meanwhile. Each transport is the active one
for its share of the minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.failover.ours import TRANSPORTS, Ours, Said, ours
from tests.lab import Lab, target
from tests.lab.censor import loss
from tests.lab.jitter import jitter

LAST = 50.0  # seconds that a held download lasts
BUSY = 2 * (os.cpu_count() or 1)  # processes
GIVE_UP = 3600  # seconds after which they end by themselves
NEEDLESS = ("switch", "wan")  # kinds of lines in the journal
WIDTHS = (38, 13, 8, 16, 20, 9, 0)
HEAD = ("scenario", "active", "minutes", "requests (lost)", "standbys that left", "switches", "why")

Do = Callable[[Lab], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    title: str
    do: Do


@dataclass(frozen=True, slots=True)
class Soaked:
    """`said` is what the daemon told meanwhile."""

    scenario: Scenario
    active: str
    minutes: float
    requests: int
    lost: int
    said: Sequence[Said]

    @property
    def switches(self) -> int:
        return sum(said.kind in NEEDLESS for said in self.said)

    @property
    def left(self) -> list[Said]:
        return [said for said in self.said if said.kind == "down"]

    def cells(self) -> tuple[str, ...]:
        standbys = sum(not said.text.startswith(f"{self.active}:") for said in self.left)
        share = f"{self.requests} ({self.lost / max(1, self.requests):.1%})"
        why = "; ".join(dict.fromkeys(said.text for said in self.left))
        return (self.scenario.title, self.active, f"{self.minutes:.1f}", share, str(standbys), str(self.switches), why)


@contextlib.contextmanager
def _busy(lab: Lab) -> Iterator[None]:
    argv = ["timeout", str(GIVE_UP), "sh", "-c", "while :; do :; done"]
    loads = [lab.router.popen(argv, log="busy") for _ in range(BUSY)]
    try:
        yield
    finally:
        for child in loads:
            child.terminate()
            child.wait(5)


def _lossy(percent: int) -> Do:
    return lambda lab: lab.censor(loss(percent))


SCENARIOS = (
    Scenario("nothing", "control: nothing happens", lambda _lab: contextlib.nullcontext()),
    Scenario("loss10", "10 % loss, each way", _lossy(10)),
    Scenario("loss20", "20 % loss, each way", _lossy(20)),
    Scenario("jitter", "0 to 300 ms late, each way", lambda lab: jitter(lab, 0.3)),
    Scenario("down", "a probe target down", lambda lab: target.down(lab, "probe2.example")),
    Scenario("forged", "a target's certificate is wrong", lambda lab: target.forged(lab, "probe2.example")),
    Scenario("changed", "a target's answer is changed", lambda lab: target.changed(lab, "probe2.example")),
    Scenario("cpu", f"CPU at 100 %: {BUSY} busy processes", _busy),
)


def main() -> int:
    options = _options()
    if os.geteuid() != 0:
        print("bench.soak: needs root, for network namespaces", file=sys.stderr)
        return 1
    began, found = time.monotonic(), list[Soaked]()
    chosen = [scenario for scenario in SCENARIOS if scenario.name in (options.only or [s.name for s in SCENARIOS])]
    print(_line(HEAD), flush=True)
    for soaked in _soak(chosen, options.active or TRANSPORTS, options.minutes):
        print(_line(soaked.cells()), flush=True)
        found.append(soaked)
    switches = sum(soaked.switches for soaked in found)
    load = f"load average {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores"
    print(f"\n{switches} switches, none of them needed; {time.monotonic() - began:.0f} s; {load}")
    return 1 if switches else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Counts switches that were not needed.")
    parser.add_argument("--minutes", type=float, default=10, help="of each scenario, all transports together (10)")
    parser.add_argument("--only", action="append", choices=[s.name for s in SCENARIOS], help="repeatable")
    parser.add_argument("--active", action="append", choices=TRANSPORTS, help="repeatable; all in turn if not given")
    return parser.parse_args()


def _soak(chosen: Sequence[Scenario], actives: Sequence[str], minutes: float) -> Iterator[Soaked]:
    with Lab.up(TRANSPORTS) as lab, ours(lab) as box:
        for scenario in chosen:
            for active in actives:
                yield _one(box, scenario, active, minutes / len(actives))


def _one(box: Ours, scenario: Scenario, active: str, minutes: float) -> Soaked:
    box.prefer((active, *(name for name in TRANSPORTS if name != active)))
    box.household.ask("page")
    box.household.served()
    box.household.forget()
    box.said.clear()
    end = time.monotonic() + 60 * minutes
    with scenario.do(box.lab):
        while (left := end - time.monotonic()) > 0:
            box.household.hold()
            time.sleep(min(LAST, left))
        said, requests = list(box.said), list(box.household.requests)
    lost = sum(not request.good for request in requests)
    return Soaked(scenario, active, minutes, len(requests), lost, said)


def _line(cells: Sequence[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


if __name__ == "__main__":
    sys.exit(main())
