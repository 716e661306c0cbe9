"""python -m bench.frugal [--minutes M]: bytes on the ISP's wire while nobody uses the house, three transports warm.

Twice: what each thing costs by itself, times how often plan.py has it done in an hour; and what the daemon really sends
in some minutes. Counted are IP bytes to and from each transport's server, both ways: what a metered line bills.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from bench.report import Row, Samples, head, show, summary
from bench.throughput import TRANSPORTS
from routerd.model import Event, Probe, Probed, Sample
from routerd.plan import ACTIVE_EVERY, LARGE_EVERY, METERED, STANDBY_EVERY
from routerd.probe import names, prober
from routerd.probe.names import Names
from routerd.probe.prober import Prober
from tests.lab import Lab
from tests.lab.box import Box

HOUR = 3600.0
MOST = 1000.0  # KB per hour
ROUNDS, EVERY = 8, 0.5  # of each kind that is measured by itself; seconds between them
SETTLED, STILL = 30.0, 90.0  # seconds until connections that were under way have ended; of looking at the engines alone
SLOW = 1e9  # seconds: never


class Meter:
    """KB to and from each transport's server since the last look."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._before = lab, dict.fromkeys(TRANSPORTS, 0)
        rules = [f"ip {end} {lab.server(name).address4} counter name c{number}"
                 for number, name in enumerate(TRANSPORTS) for end in ("saddr", "daddr")]
        made = " ".join(f"counter c{number} {{ }};" for number in range(len(TRANSPORTS)))
        chain = f"chain forward {{ type filter hook forward priority 10; {'; '.join(rules)}; }}"
        lab.isp.run(["nft", "-f", "-"], input=f"table inet frugal {{ {made}\n{chain}; }}")

    def look(self) -> dict[str, float]:
        words = self._lab.isp.sh("nft list counters table inet frugal").split()
        counts = [int(words[at + 1]) for at, word in enumerate(words) if word == "bytes"]
        now = dict(zip(TRANSPORTS, counts, strict=True))
        grown = {name: (now[name] - self._before[name]) / 1000 for name in TRANSPORTS}
        self._before = now
        return grown


def main() -> int:
    options = _options()
    if os.geteuid() != 0:
        print("bench.frugal: needs root, for network namespaces", file=sys.stderr)
        return 1
    rows = list[Row]()
    print(head(), flush=True)
    for row in _rows(options.minutes):
        show(row)
        rows.append(row)
    print(f"\n{summary(rows)}; load average {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.frugal", description="Bytes on the wire while idle.")
    parser.add_argument("--minutes", type=float, default=6, help="of real idling (6)")
    return parser.parse_args()


def _rows(minutes: float) -> Iterator[Row]:
    with Lab.up(TRANSPORTS) as lab:
        os.environ["SSL_CERT_FILE"] = str(lab.ca_file)
        meter = Meter(lab)
        with Box(lab, TRANSPORTS) as box:
            box.wait_warm(len(TRANSPORTS))
            yield from _idle(meter, minutes)
            with _stopped(box):
                yield from _still(meter)
                yield from _priced(lab, meter)


def _idle(meter: Meter, minutes: float) -> Iterator[Row]:
    time.sleep(1.4 * STANDBY_EVERY)  # with the second round comes the first large probe
    yield _row("start of three, with their first large probes", sum(meter.look().values()), "KB")
    time.sleep(60 * minutes)
    found = meter.look()
    for name, size in found.items():
        yield _row(f"idle for {minutes:g} minutes: {name}", size * 60 / minutes, "KB/h")
    yield _row(f"idle for {minutes:g} minutes: all, but for large probes", sum(found.values()) * 60 / minutes, "KB/h")


@contextlib.contextmanager
def _stopped(box: Box) -> Iterator[None]:
    """The daemon is; its engines are not."""
    assert box.daemon
    box.daemon.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        box.daemon.send_signal(signal.SIGCONT)


def _still(meter: Meter) -> Iterator[Row]:
    time.sleep(SETTLED)
    meter.look()
    time.sleep(STILL)
    for name, size in meter.look().items():
        yield _row(f"its engine alone for {STILL:.0f} s: {name}", size * HOUR / STILL, "KB/h")


def _priced(lab: Lab, meter: Meter) -> Iterator[Row]:
    total = {"": 0.0, "metered": 0.0}
    for number, name in enumerate(TRANSPORTS):
        probe = _probe(name, number + 1)
        light, asked, large = (
            _cost(lab, meter, name, replace(probe, large_every=every), forget)
            for every, forget in ((SLOW, False), (SLOW, True), (0.0, False))
        )
        costs = {"light probe": light, "asking for its name": asked - light, "large probe": large - light}
        for what, size in costs.items():
            yield _row(f"one {what}: {name}", size, "KB")
        for word, times in (("", 1.0), ("metered", METERED)):
            total[word] += sum(costs[what] * count for what, count in _an_hour(number == 0, times).items())
    yield _row("an hour by these prices", total[""], "KB/h", MOST)
    yield _row("an hour by these prices, metered", total["metered"], "KB/h", MOST / 2)


def _an_hour(active: bool, rarer: float) -> Mapping[str, float]:
    """How often each is done. A name is asked for again by the first probe that wants it after names.REMEMBER."""
    every = (ACTIVE_EVERY if active else STANDBY_EVERY) * rarer
    return {
        "light probe": HOUR / every,
        "asking for its name": HOUR / max(every, names.REMEMBER / 4 + every),
        "large probe": HOUR / (LARGE_EVERY * rarer),
    }


def _probe(name: str, slot: int) -> Probe:
    """As plan.py makes it of tests/lab/box.py's settings."""
    targets = tuple(f"https://{site}" for site in ("probe.example/generate_204", "probe2.example/generate_204",
                                                   "open.example/", "blocked.example/"))
    large = ("https://probe.example/blob/256000", "https://open.example/blob/256000")
    return Probe(name, slot, targets, 2, EVERY, large=large, udp=("192.0.2.53", "192.0.2.54"))


def _cost(lab: Lab, meter: Meter, name: str, probe: Probe, forget: bool) -> float:
    """KB of one round of this probe, behind the first one."""
    return lab.router.call(lambda: asyncio.run(_rounds(probe, forget, lambda: meter.look()[name])))


async def _rounds(probe: Probe, forget: bool, look: Callable[[], float]) -> float:
    done = asyncio.Queue[Probed]()

    def put(event: Event) -> None:
        if isinstance(event, Probed):
            if forget:
                made.names = Names()
            done.put_nowait(event)

    made = Prober(put, lambda _name: Sample())
    made.apply([probe])
    await asyncio.sleep(prober.SOON + 2 * EVERY)
    look()
    while not done.empty():
        done.get_nowait()
    for _ in range(ROUNDS):
        await done.get()
    await asyncio.sleep(EVERY / 2)  # what it looks at besides
    size, count = look(), ROUNDS + done.qsize()
    made.apply(())
    return size / count


def _row(what: str, size: float, unit: str, ceiling: float | None = None) -> Row:
    return Row(what, Samples(unit, (size,)), ceiling=ceiling)


if __name__ == "__main__":
    sys.exit(main())
