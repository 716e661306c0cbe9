"""What the household does: Load keeps traffic flowing and counts answers, Pulse measures time without service."""

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

from .lab import Lab
from .net import Host, LabError, wait_until
from .topology import LAN_ROUTER4, RESOLVERS4, SITE

STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Counts:
    """By kind: udp4, udp6, http, tls, dns. `bins[kind][i]` are the answers in the i-th 100 ms since `began` (Unix)."""

    began: float
    ended: float
    sent: Mapping[str, int]
    refused: Mapping[str, int]
    answered: Mapping[str, int]
    bins: Mapping[str, Mapping[int, int]]

    @classmethod
    def read(cls, file: Path) -> "Counts":
        fields: dict[str, Any] = json.loads(file.read_text())
        bins = {kind: {int(at): count for at, count in one.items()} for kind, one in fields.pop("bins").items()}
        return cls(**fields, bins=bins)

    def answers_between(self, kind: str, start: float, end: float) -> int:
        """Answers between two Unix times, to 100 ms."""
        first, last = int((start - self.began) * 10), int((end - self.began) * 10)
        return sum(count for at, count in self.bins.get(kind, {}).items() if first <= at < last)


@dataclass(slots=True)
class Load:
    """`with Load(lab): ...`: traffic from one client to blocked.example, by address, each packet with the canary.

    UDP to the echo service (v4 ports 443 and 7; v6 443), new TCP connections (half HTTP, half TLS), DNS questions to
    the router and to a public resolver in turn. `counts()` at any time, and after the end.
    """

    lab: Lab
    udp_pps: float = 1000
    tcp_per_s: float = 50
    dns_per_s: float = 20
    v6_pps: float = 100
    client: Host | None = None
    dns_servers: Sequence[str] = (LAN_ROUTER4, RESOLVERS4[0])
    linger: float = 0.3
    child: subprocess.Popen[str] | None = None

    @property
    def host(self) -> Host:
        return self.client or self.lab.laptop

    @property
    def _file(self) -> Path:
        return self.host.directory / f"load-{id(self)}.json"

    def __enter__(self) -> "Load":
        site = SITE["blocked.example"]
        config = {"file": str(self._file), "token": self.lab.token, "site": site.name, "tcp": site.address4,
                  "udp4": [(site.address4, 443), (site.address4, 7)], "udp6": [(site.address6, 443)],
                  "dns": list(self.dns_servers), "linger": self.linger,
                  "rates": {"udp4": self.udp_pps, "udp6": self.v6_pps, "dns": self.dns_per_s, "tcp": self.tcp_per_s}}
        self._file.unlink(missing_ok=True)  # of one before, which had the same id: it would pass for ours
        self.child = self.host.module("load", json.dumps(config))
        wait_until(self._file.exists, STOP_SECONDS, f"the load runs; see {self.host.directory}/load.log")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self.child:
            self.child.send_signal(signal.SIGTERM)
            self.child.wait(STOP_SECONDS)
            if self.child.returncode != 0 and error is None:
                raise LabError(f"the load ended with {self.child.returncode}; see {self.host.directory}/load.log")

    def counts(self) -> Counts:
        """At most 0.25 s old while it runs."""
        return Counts.read(self._file)


def udp_answer(client: Host, address: str, port: int = 443, payload: bytes = b"hello", timeout: float = 0.5) -> bytes:
    """What the UDP service answers this client: `TOKEN PEER PAYLOAD`; empty after the time-out."""

    def ask() -> bytes:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            try:
                sock.sendto(payload, (address, port))
                return sock.recv(65535)
            except OSError:
                return b""

    return client.call(ask)


@dataclass(frozen=True, slots=True)
class Beat:
    """One request of a Pulse; monotonic times; `detail` is curl's message or what was wrong with the answer."""

    start: float
    end: float
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Gap:
    """From the last good answer before to the first good one after (or the pulse's end: `open`)."""

    start: float
    end: float
    open: bool

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(slots=True)
class Pulse:
    """`with Pulse(lab, url) as pulse: ...`: fetches the URL every `interval` seconds, each time by a new curl.

    Requests overlap: one that hangs does not hold back the next. `expect` must be in the answer (or the page's token).
    """

    lab: Lab
    url: str = "https://blocked.example/"
    interval: float = 0.25
    timeout: float = 1.0
    client: Host | None = None
    expect: str | None = None
    args: Sequence[str] = ()
    beats: list[Beat] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def __enter__(self) -> "Pulse":
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stopping.set()
        if self.thread:
            self.thread.join()

    def gaps(self, over: float | None = None) -> list[Gap]:
        """Times without service longer than `over` seconds (default: interval + 0.5)."""
        limit = self.interval + 0.5 if over is None else over
        good = sorted(beat.end for beat in self.beats if beat.ok)
        last = self.ended or time.monotonic()
        marks = [(self.began, False), *((at, False) for at in good), (last, True)]
        return [Gap(a, b, end) for (a, _), (b, end) in pairwise(marks) if b - a > limit]

    def longest(self) -> float:
        """The longest time between two good answers (or begin, or end), in seconds."""
        return max((gap.seconds for gap in self.gaps(0.0)), default=0.0)

    def wait_ok(self, seconds: float) -> float:
        """Until a request that starts from now on succeeds; how long that took. LabError after `seconds`."""
        start = time.monotonic()
        wait_until(lambda: any(beat.ok and beat.start >= start for beat in list(self.beats)), seconds,
                   f"{self.url} answers; last: {self.beats[-1].detail if self.beats else 'nothing'}", 0.02)
        return time.monotonic() - start

    def _run(self) -> None:
        host, running = self.client or self.lab.phone, list[tuple[float, subprocess.Popen[str]]]()
        due = time.monotonic()
        while not self.stopping.is_set() or running:
            if time.monotonic() >= due and not self.stopping.is_set():
                running.append((time.monotonic(), self._start(host)))
                due += self.interval
            running = [one for one in running if not self._finished(*one)]
            time.sleep(0.01)
            if self.stopping.is_set() and not self.ended:
                self.ended = time.monotonic()
        self.ended = max([self.ended, *(beat.end for beat in self.beats)])

    def _start(self, host: Host) -> subprocess.Popen[str]:
        argv = ["curl", "-sS", "--max-time", str(self.timeout), *self.args, self.url]
        child = host.popen(argv, log="pulse", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        host.children.remove(child)
        return child

    def _finished(self, start: float, child: subprocess.Popen[str]) -> bool:
        if child.poll() is None:
            return False
        assert child.stdout
        with child.stdout as pipe:
            text = pipe.read()
        expected = self.lab.page_token(self.url.split("/")[2]) if self.expect is None else self.expect
        ok = child.returncode == 0 and expected in text
        self.beats.append(Beat(start, time.monotonic(), ok, "" if ok else text.strip()[-200:] or "empty answer"))
        return True
