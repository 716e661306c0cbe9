"""What the censor and bad luck do, as data: one row each, one function that does it and undoes it.

A strike's function yields the moment from which time counts: before the first command that does harm.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.lab import Lab, Server, poison, topology
from tests.lab.censor import Censor, freeze_after, ip_drop, reset_injected, throttle_flows, total_outage, udp_drop

OUTAGE = 60.0  # seconds that the line is down
LIES = ("canary.example", "blocked.example", "probe.example")
PROXIES = (("ss2022", "trojan"), ("trojan", "ss2022"))
DATAGRAMS = (("hysteria2", "ss2022"), ("wireguard", "ss2022"))


@dataclass(frozen=True, slots=True)
class Scene:
    """Who is struck: the server in use, its engine's process on the router, and the ISP's end of the router's line."""

    lab: Lab
    server: Server
    engine: Callable[[], int]
    wire: str = "cust0"


Do = Callable[[Scene], AbstractContextManager[float]]


@dataclass(frozen=True, slots=True)
class Strike:
    """`orders`: which transport is struck (the first) and which come next; strikes take them in turn.

    `median` and `late` are the targets at the 50th and 95th percentile. `peers`: False where they are one process.
    """

    name: str
    title: str
    do: Do
    median: float
    late: float
    orders: tuple[tuple[str, ...], ...] = PROXIES
    ask: str = "page"
    idle: bool = False
    peers: bool = True

    def order(self, number: int) -> tuple[str, ...]:
        return self.orders[number % len(self.orders)]


def _addresses(scene: Scene) -> list[str]:
    return [scene.server.address4, scene.server.address6]


def _censored(choose: Callable[[Scene], Censor]) -> Do:
    @contextlib.contextmanager
    def do(scene: Scene) -> Iterator[float]:
        began = time.monotonic()
        with scene.lab.censor(choose(scene)):
            yield began

    return do


def _signalled(first: int, last: int | None = None) -> Do:
    @contextlib.contextmanager
    def do(scene: Scene) -> Iterator[float]:
        engine = os.pidfd_open(scene.engine())
        began = time.monotonic()
        signal.pidfd_send_signal(engine, first)
        try:
            yield began
        finally:
            if last is not None:
                with contextlib.suppress(ProcessLookupError):  # it was ended as it should be
                    signal.pidfd_send_signal(engine, last)
            os.close(engine)

    return do


@contextlib.contextmanager
def _poisoned(scene: Scene) -> Iterator[float]:
    began = time.monotonic()
    with poison.poisoned(scene.lab, scene.server.address4):
        yield began


@contextlib.contextmanager
def _unplugged(scene: Scene) -> Iterator[float]:
    topology.unplug(scene.lab.isp, scene.wire)
    try:
        time.sleep(OUTAGE)
    finally:
        back = time.monotonic()
        topology.plug(scene.lab.isp, scene.wire)
    yield back


@contextlib.contextmanager
def _silent(scene: Scene) -> Iterator[float]:
    """The cable is in and nobody answers."""
    with scene.lab.censor(total_outage()):
        time.sleep(OUTAGE)
        back = time.monotonic()
    yield back


def _gone(scene: Scene) -> Censor:
    return ip_drop(_addresses(scene))


STRIKES = (
    Strike("killed", "child killed", _signalled(signal.SIGKILL), 0.3, 1, peers=False),
    Strike("reset", "reset injected", _censored(lambda scene: reset_injected(scene.server.address4)), 0.5, 1.5),
    Strike("gone", "address blackholed, traffic flowing", _censored(_gone), 1.5, 3),
    Strike("gone-idle", "address blackholed while idle", _censored(_gone), 3, 5, idle=True),
    Strike("udp", "UDP blocked", _censored(lambda _scene: udp_drop()), 2, 4, orders=DATAGRAMS),
    Strike("hung", "engine hung", _signalled(signal.SIGSTOP, signal.SIGCONT), 2, 4, peers=False),
    Strike("frozen", "frozen after 16 KB", _censored(lambda scene: freeze_after(16_000, _addresses(scene))), 8, 15,
           ask="blob"),
    Strike("throttled", "throttled to 2 KB/s", _censored(lambda scene: throttle_flows(_addresses(scene), 2_000)), 8, 15,
           ask="blob"),
    Strike("poisoned", "resolver poisoned behind the exit", _poisoned, 3, 6, peers=False),
    Strike("wan-unplugged", "WAN back after 60 s without carrier", _unplugged, 1, 2),
    Strike("wan-silent", "WAN back after 60 s of silence", _silent, 1, 2),
)
