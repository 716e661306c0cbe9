"""python -m bench.desync [--nfqws PATH] [--turns N]: what the way without a server costs, beside plain forwarding.

Plain forwarding, ours and (given its program) zapret's nfqws, with the same split in two places, are three routers
between one home and one ISP. Each has sites of its own, so that the phone's routes stay as they are. They take turns
with everything; figures are medians. The exit status is 1 when a target is missed or ours could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench import cores, report, ways
from bench.footprint import cpu_seconds, unique_bytes
from bench.hellos import PORT
from bench.load import iperf, mbits
from bench.report import Row, Samples
from routerd.render.desync import YOUNG
from tests.lab import Host, Lab, LabError, wait_until
from tests.lab.box import Box
from tests.lab.net import ROOT
from tests.lab.packets import parse
from tests.lab.topology import LAN_ROUTER4

STRATEGY = "split(1,midsld)"
TRANSPORT = f'[[transport]]\nname = "no-server"\nkind = "desync"\nstrategy = "{STRATEGY}"\n'
PIECES = 3  # of a hello that is split in two places
# The packets that ours hands over: either side's, until the server has sent so many.
QUEUED = f"-m connbytes --connbytes-dir reply --connbytes-mode packets --connbytes 0:{YOUNG} -j NFQUEUE --queue-num 200"
NFQUEUE = f"""
iptables -t mangle -A POSTROUTING -o wan0 -p tcp --dport {PORT} -m mark ! --mark 0x40000000/0x40000000 {QUEUED}
iptables -t mangle -A POSTROUTING -o br-lan -p tcp --sport {PORT} {QUEUED}
"""
NFQWS = ("--qnum=200", f"--filter-tcp={PORT}", "--dpi-desync=multisplit", "--dpi-desync-split-pos=1,midsld")
# A first piece of one byte, without and with a timestamp: nothing else on these ways is as long.
COUNT = "tcp dport 443 ip length { 41, 53 } counter"
COUNTERS = "table ip bench {{ chain count {{ type filter hook forward priority 0\n{rules}}}; }}"
FLOWS = 64  # under way at any time
ETH_P_ALL = 3


@dataclass(frozen=True, slots=True)
class Way:
    """One router. `worker` is the process that splits; `site` answers hellos, `bulk` is an iperf3."""

    name: str
    router: Host
    gateway: str
    number: int
    worker: int | None = None

    @property
    def site(self) -> str:
        return f"198.51.100.{20 + self.number}"

    @property
    def bulk(self) -> str:
        return f"198.51.100.{30 + self.number}"


@dataclass(slots=True)
class Measured:
    """Of one way, one value for each turn. Times in ms, rates per second, CPU in microseconds for each connection."""

    down: list[float] = field(default_factory=list)
    up: list[float] = field(default_factory=list)
    half: list[float] = field(default_factory=list)
    worst: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    split: list[float] = field(default_factory=list)
    memory: float = 0.0


@dataclass(frozen=True, slots=True)
class Effort:
    """`bulk`: samples of a second in each turn. What disturbs one seldom disturbs its neighbour less."""

    turns: int
    bulk: int = 2
    seconds: int = 2
    timed: int = 300


# The ways


def plain(lab: Lab) -> Way:
    return Way("plain", ways.plain(lab, 1).router, "192.168.77.101", 1)


def nfqws(lab: Lab, program: Path) -> Way:
    host = ways.router(lab, 2, "nfqws")
    host.sh(ways.FORWARD.replace("OUT", "wan0") + NFQUEUE)
    child = host.popen([str(program.resolve()), *NFQWS], log="nfqws")
    queue = Path(f"/proc/{child.pid}/net/netfilter/nfnetlink_queue")
    wait_until(lambda: bool(queue.read_text()), 10, f"nfqws has its queue; see {host.directory}/nfqws.log")
    return Way("nfqws", host, "192.168.77.102", 2, child.pid)


def ours(lab: Lab, rest: ExitStack) -> Way:
    box = rest.enter_context(Box(lab, (), extra=TRANSPORT))
    box.wait_open("no-server")
    workers = box.children("desync/worker.py")
    if len(workers) != 1:
        raise LabError(f"one worker was expected: {workers}")
    return Way("ours", lab.router, LAN_ROUTER4, 3, workers[0])


def _lay(lab: Lab, all_: Sequence[Way]) -> None:
    """The sites of each way, the phone's routes to them, and the ISP's counters of first pieces."""
    for way in all_:
        lab.sites.sh(f"ip addr add {way.site}/25 dev eth0; ip addr add {way.bulk}/25 dev eth0")
        lab.phone.sh(f"ip route add {way.site} via {way.gateway}; ip route add {way.bulk} via {way.gateway}")
        lab.sites.popen(["iperf3", "-s", "-p", str(PORT), "-B", way.bulk], log=f"iperf3-{way.name}")
    answers = [sys.executable, "-m", "bench.hellos", "answer", *(way.site for way in all_)]
    lab.sites.popen(answers, log="hellos", cwd=ROOT)
    wait_until(lambda: lab.sites.run(["ss", "-Hltn", "src", all_[-1].site]).stdout != "", 10, "answers to hellos")
    rules = "".join(f"ip daddr {way.site} {COUNT}\n" for way in all_)
    lab.isp.run(["nft", "-f", "-"], input=COUNTERS.format(rules=rules))
    ways.open_ports(lab.net.hosts.values())


# The measures


def pieces(lab: Lab, way: Way) -> list[int]:
    """Bytes of payload of each packet in which one hello reaches the ISP."""
    wire = lab.isp.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
    with wire:
        wire.setblocking(False)
        _hellos(lab, "time", "1", way.site)
        return [len(packet.payload) for packet in _coming(wire, way) if packet.payload]


def _coming(wire: socket.socket, way: Way) -> Iterator[Any]:
    while True:
        try:
            data, (*_, kind, _, _) = wire.recvfrom(1 << 16)
        except BlockingIOError:
            return
        packet = parse(data[14:]) if data[12:14] == b"\x08\x00" else None
        if packet and kind == socket.PACKET_HOST and packet.dst == socket.inet_aton(way.site):
            yield packet


def turn(lab: Lab, all_: Sequence[tuple[Way, Measured]], effort: Effort) -> None:
    for number in range(effort.bulk):
        for way, got in all_[:: 1 if number % 2 == 0 else -1]:
            got.down.append(_bulk(lab, way, "-R"))
        for way, got in all_[:: 1 if number % 2 == 0 else -1]:
            got.up.append(_bulk(lab, way))
    times = _hellos(lab, "time", str(effort.timed), *(way.site for way, _ in all_))
    for (_, got), taken in zip(all_, times, strict=True):
        got.half.append(median(taken) * 1e3)
        got.worst.append(quantiles(taken, n=100)[98] * 1e3)
    for way, got in all_:
        _rate(lab, way, got, effort)


def _bulk(lab: Lab, way: Way, *more: str) -> float:
    return mbits(iperf(lab.phone, 1, "-p", str(PORT), *more, to=way.bulk)["end"]["sum_received"])


def _rate(lab: Lab, way: Way, got: Measured, effort: Effort) -> None:
    """New connections, as many as go; what the worker paid for each, and how many hellos were split indeed."""
    time.sleep(0.5)  # what the way before has left in the queues
    split, spent = _counted(lab, way), cpu_seconds(way.worker) if way.worker else 0.0
    rate, good, bad = _hellos(lab, "rate", way.site, str(FLOWS), str(effort.seconds))
    if bad > 0.01 * good:
        raise LabError(f"{way.name}: {bad} connections failed, {good} were good")
    got.rate.append(rate)
    got.split.append((_counted(lab, way) - split) / (good + bad))
    got.cpu.append((cpu_seconds(way.worker) - spent) / good * 1e6 if way.worker else 0.0)
    got.memory = unique_bytes(way.worker) / 1e6 if way.worker else 0.0


def _counted(lab: Lab, way: Way) -> int:
    """First pieces of one byte that the ISP has forwarded to this way's site."""
    found = re.search(rf"{re.escape(way.site)} .*packets (\d+)", lab.isp.sh("nft list table ip bench"))
    assert found
    return int(found[1])


def _hellos(lab: Lab, *words: str) -> Any:
    done = lab.phone.run([sys.executable, "-m", "bench.hellos", *words], timeout=60, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise LabError(f"hellos {' '.join(words)}: {done.stderr[-500:]}")
    return json.loads(done.stdout)


# The table


def rows(base: Measured, worker: Measured | None, theirs: Measured | None) -> Iterator[Row]:
    """Ours against its targets, then what else is good to know."""
    yield Row("new connections, plain forwarding", Samples("1/s", tuple(base.rate)))
    yield Row("first answer, plain forwarding: p50", Samples("ms", tuple(base.half)))
    yield Row("first answer, plain forwarding: p99", Samples("ms", tuple(base.worst)))
    if worker:
        yield from _against_plain("ours", worker, base, asked=True)
    if theirs:
        yield from _against_plain("nfqws", theirs, base, asked=False)
    if worker and theirs:
        yield Row("new connections: ours / nfqws", *_both("1/s", worker.rate, theirs.rate), floor=0.9)
        yield Row("CPU for a connection: ours / nfqws", *_both("us", worker.cpu, theirs.cpu), ceiling=3)


def _against_plain(name: str, way: Measured, base: Measured, asked: bool) -> Iterator[Row]:
    """`asked`: whether the targets are meant."""
    half = [mine - its for mine, its in zip(way.half, base.half, strict=True)]
    worst = [mine - its for mine, its in zip(way.worst, base.worst, strict=True)]
    share, least, most = (0.95, 2000, 30) if asked else (None, None, None)
    p50, p99 = (1, 5) if asked else (None, None)
    yield Row(f"bulk down on 443: {name} / plain", *_both("Mbit/s", way.down, base.down), floor=share)
    yield Row(f"bulk up on 443: {name} / plain", *_both("Mbit/s", way.up, base.up), floor=share)
    yield Row(f"first answer of a new connection, added: {name}, p50", Samples("ms", tuple(half)), ceiling=p50)
    yield Row(f"first answer of a new connection, added: {name}, p99", Samples("ms", tuple(worst)), ceiling=p99)
    yield Row(f"new connections through one worker: {name}", Samples("1/s", tuple(way.rate)), floor=least)
    yield Row(f"  of them with the hello in pieces: {name}", Samples("", tuple(way.split)), floor=0.99)
    yield Row(f"  CPU of the worker for each: {name}", Samples("us", tuple(way.cpu)))
    yield Row(f"  memory of its own after it: {name}", Samples("MB", (way.memory,)), ceiling=most)


def _both(unit: str, way: Sequence[float], base: Sequence[float]) -> tuple[Samples, Samples]:
    return Samples(unit, tuple(way)), Samples(unit, tuple(base))


def measure(program: Path | None, effort: Effort) -> list[Row]:
    with Lab.up() as lab, ExitStack() as rest:
        found = [plain(lab)]
        try:
            found.append(ours(lab, rest))
        except LabError as e:
            print(f"not measured: ours: {e}", file=sys.stderr, flush=True)
        found += [nfqws(lab, program)] if program else []
        _lay(lab, found)
        cores.apart(lab, [way.router for way in found])
        shown = [(way, pieces(lab, way)) for way in found]
        print("; ".join(f"{way.name}: a hello in {sizes}" for way, sizes in shown), flush=True)
        for way, sizes in shown:
            if len(sizes) != (PIECES if way.worker else 1):
                raise LabError(f"{way.name} is not what is meant to be measured")
        got = [(way, Measured()) for way in found]
        for number in range(effort.turns):
            turn(lab, got[:: 1 if number % 2 == 0 else -1], effort)
        by_name = {way.name: measured for way, measured in got}
        return list(rows(by_name["plain"], by_name.get("ours"), by_name.get("nfqws")))


def _busy() -> str:
    """Who else wants the cores: rates and the worst delays are of use on a quiet machine alone, ratios on any."""
    load, cores_ = os.getloadavg()[0], len(os.sched_getaffinity(0))
    return f"load before it began: {load:.1f} on {cores_} cores{'; NOT QUIET' if load > 0.5 else ''}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.desync", description="What desync costs, in the lab.")
    parser.add_argument("--nfqws", type=Path, help="zapret's program, to compare ours with")
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("bench: needs root, for network namespaces", file=sys.stderr)
        return 1
    began, busy = time.monotonic(), _busy()
    measured = measure(options.nfqws, Effort(options.turns))
    print(report.head())
    for row in measured:
        report.show(row)
    print(f"\n{report.summary(measured)}; {time.monotonic() - began:.0f} s; {busy}")
    without = not any("ours" in row.what for row in measured)
    return without or any(row.missed for row in measured)


if __name__ == "__main__":
    sys.exit(main())
