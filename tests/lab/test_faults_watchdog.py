"""The fault catalogue, what the watchdog must see: each fault under load and under capture."""

import os
import signal
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import pairwise

import pytest

from . import censor
from .box import Box
from .censor import Censor
from .fault import SERVERS, Scene, engine, home, scene, switches, through
from .lab import Lab
from .net import Host, wait_until
from .servers import Server
from .topology import SITE
from .verdict import openings

__all__ = ["SERVERS"]
DETECTED, SERVED = 10.0, 15.0  # seconds
KNOCKS = 2000  # frames to one server in a minute of an outage that is young; the older it is, the fewer
# A rhythm: of MANY pauses such a SHARE is alike, within ALIKE seconds. Jittered by 30 %, a sixth of them is so, and less than
# once in a billion runs six tenths; without jitter, eight tenths are.
MANY, ALIKE, SHARE, WITHIN = 30, 0.02, 0.6, 0.5
LEFT_ALONE = 45.0  # seconds for which a blocked server is watched


@contextmanager
def left_and_served(
    found: Scene, trouble: AbstractContextManager[None], detected: float = DETECTED, served: float = SERVED
) -> Iterator[None]:
    """In this trouble the second transport carries the household in time, and it takes one switch."""
    before, second, began = switches(found.box), found.box.transports[1], time.monotonic()
    with trouble:
        found.box.wait_open(second, detected)
        seen = time.monotonic() - began
        wait_until(lambda: through(found.lab), served - seen, "the household is through")
        print(f"left after {seen:.1f} s, through after {time.monotonic() - began:.1f} s")
        yield
        assert switches(found.box)[len(before) :] == [f"now through {second}"]


# -- the engines, and the servers behind them -------------------------------------------------------------------------


def _hung(box: Box) -> int:
    if box.transports[0] == "wireguard":
        (pid,) = box.children("wireguard-go")
        return pid
    return engine(box, 12301)


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """The box itself ends it, when it leaves the transport."""
    os.kill(pid, signal.SIGSTOP)
    yield


def test_fault_06_an_engine_hangs(lab: Lab, box: Box) -> None:
    with scene(lab, box) as found, left_and_served(found, _stopped(_hung(box))):
        pass


@contextmanager
def _taking_and_giving_nothing(server: Server) -> Iterator[None]:
    """Its machine still acknowledges what comes in."""
    assert server.child
    server.child.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.child.send_signal(signal.SIGCONT)


@contextmanager
def _cut_off_from_the_sites(server: Server) -> Iterator[None]:
    """It works, and its own way out does not."""
    rules = "ip saddr 198.51.100.0/24 drop; ip saddr 192.0.2.0/24 drop; ip6 saddr { 2001:db8:51::/64, 2001:db8:2::/64 } drop"
    server.host.sh(f"nft 'table inet cut {{ chain in {{ type filter hook prerouting priority 0; {rules}; }}; }}'")
    try:
        yield
    finally:
        server.host.sh("nft delete table inet cut")


@pytest.mark.parametrize("trouble", [_taking_and_giving_nothing, _cut_off_from_the_sites], ids=lambda one: one.__name__[1:])
def test_fault_09_an_engine_takes_everything_and_forwards_nothing(
    lab: Lab, proxy: Box, trouble: Callable[[Server], AbstractContextManager[None]]
) -> None:
    with scene(lab, proxy) as found, left_and_served(found, trouble(lab.server("ss2022")), 20, 20):
        pass


def test_fault_09_a_transport_is_throttled_to_1_kilobyte_a_second(lab: Lab, proxy: Box) -> None:
    slow = censor.throttle(lab.server("ss2022").address4, 8)
    with scene(lab, proxy) as found, left_and_served(found, lab.censor(slow), 20, 20):
        pass


# -- the targets --------------------------------------------------------------------------------------------------------


@contextmanager
def _down(sites: Host) -> Iterator[None]:
    with _at_the_site(sites, "filter", f"ip daddr {SITE['probe.example'].address4} drop"):
        yield


@contextmanager
def _lying(sites: Host) -> Iterator[None]:
    """Another site answers in its place: the certificate is wrong."""
    there = f"dnat ip to {SITE['blocked2.example'].address4}"
    with _at_the_site(sites, "nat", f"ip daddr {SITE['probe.example'].address4} {there}"):
        yield


@contextmanager
def _at_the_site(sites: Host, kind: str, rule: str) -> Iterator[None]:
    sites.sh(f"nft 'table inet target {{ chain in {{ type {kind} hook prerouting priority -100; {rule}; }}; }}'")
    try:
        yield
    finally:
        sites.sh("nft delete table inet target")


@pytest.mark.parametrize("trouble", [_down, _lying], ids=lambda one: one.__name__[1:])
def test_fault_13_a_probe_target_is_down_or_lies(
    lab: Lab, proxy: Box, trouble: Callable[[Host], AbstractContextManager[None]]
) -> None:
    """Probes are rare where nothing is suspected: hiccups of the engine ask for some."""
    with scene(lab, proxy), trouble(lab.sites):
        proxy.stop()
        proxy.start()
        proxy.wait_warm(2)
        before = switches(proxy)
        for _ in range(4):
            _hiccup(engine(proxy, 12301))
        assert switches(proxy) == before
        assert proxy.status()["active"] == "ss2022"
        assert through(lab)


def _hiccup(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.6)
    os.kill(pid, signal.SIGCONT)
    time.sleep(2.0)


# -- everything is dead -------------------------------------------------------------------------------------------------


def test_fault_14_all_transports_are_dead_and_then_one_returns(lab: Lab) -> None:
    """A minute stands for the catalogue's hour. What an observer may count is how often we knock, and when."""
    names = ["ss2022", "trojan", "wireguard"]
    dead = {name: Censor(name, censor.ip_drop([lab.server(name).address4, lab.server(name).address6]).forward) for name in names}
    with home(lab, names, warm=3) as box, scene(lab, box) as found, lab.censor(*dead.values()):
        box.wait(lambda s: s["phase"] == "blocked", 40)
        began = time.time()
        time.sleep(60)
        knocks = {name: found.capture.sent(lab.server(name).address4, began) for name in names}
        lab.censor.off(dead["trojan"])
        print(f"open {box.wait_open('trojan', 30):.1f} s after it returned")
        wait_until(lambda: through(lab), 10, "the household is through")
    for name, frames in knocks.items():
        times = openings(frames)
        print(f"{name}: a minute {len(frames)} frames, {len(times)} flows")
        assert len(frames) < KNOCKS, "bounded"
        if name != "wireguard":  # it knocks but five times: unit/test_rests.py has its rests
            _has_no_rhythm(times)


def _has_no_rhythm(times: list[float]) -> None:
    """Of the rounds of knocking: within one, the engine itself knocks again after a quarter of a second."""
    rounds = [b for a, b in pairwise(times) if b - a > WITHIN]
    pauses = sorted(b - a for a, b in pairwise(rounds))
    alike = max(bisect_right(pauses, pause + ALIKE) - at for at, pause in enumerate(pauses))
    print(f"{len(pauses)} pauses, {pauses[0]:.2f} to {pauses[-1]:.2f} s, {alike} of them alike")
    assert len(pauses) >= MANY
    assert alike < SHARE * len(pauses), "no rhythm"


# -- the active transport is blocked --------------------------------------------------------------------------------


def _reset(server: Server) -> Censor:
    return censor.reset_injected(server.address4)


def _name_blackholed(server: Server) -> Censor:
    return censor.sni_blackhole([server.hostname], reassemble=True)  # a browser's hello is longer than one packet


def _blackholed(server: Server) -> Censor:
    return censor.ip_drop([server.address4, server.address6])


def _frozen(server: Server) -> Censor:
    return censor.freeze_after(16_000, [server.address4, server.address6])


def _udp_dropped(server: Server) -> Censor:
    return censor.udp_drop()


STRIKES = [("ss2022", _reset), ("trojan", _name_blackholed), ("ss2022", _blackholed), ("trojan", _frozen),
           ("wireguard", _udp_dropped)]  # fmt: skip


@contextmanager
def films(lab: Lab) -> Iterator[None]:
    """Six downloads that flow steadily: what freezes or crawls is seen by them alone."""
    with ExitStack() as running:
        for _ in range(6):
            film = lab.tv.popen(["curl", "-s", "-m", "30", "-o", "/dev/null", "https://blocked.example/slow"])
            running.callback(film.wait)
            running.callback(film.kill)
        time.sleep(3)
        yield


@pytest.mark.parametrize(("name", "strike"), STRIKES, ids=lambda one: one if isinstance(one, str) else one.__name__[1:])
def test_fault_23_the_active_transport_is_blocked(lab: Lab, name: str, strike: Callable[[Server], Censor]) -> None:
    server, second = lab.server(name), "ss2022" if name == "trojan" else "trojan"
    with home(lab, [name, second]) as box, scene(lab, box) as found, films(lab):
        with left_and_served(found, lab.censor(strike(server))):
            if strike is _reset:
                _is_left_alone(found, server)


def test_fault_23_where_all_that_are_warm_freeze_the_cold_one_is_found(lab: Lab) -> None:
    """No control convicts here: it freezes as well. A line on which everything is late looks otherwise (bench.soak)."""
    names = ["ss2022", "trojan", "wireguard"]
    for name in names:
        lab.server(name)
    with Box(lab, names, standby=1) as box, ExitStack() as frozen:
        box.wait_open("ss2022")
        box.wait_warm(2)
        for name in names[:2]:
            frozen.enter_context(lab.censor(_frozen(lab.server(name))))
        end = time.monotonic() + 90
        while box.status()["active"] != "wireguard":
            assert time.monotonic() < end, box.ask("GET", "/log")["journal"]
            with films(lab):
                time.sleep(4)
        box.wait(lambda _status: through(lab), 10, "the household is through")


def _is_left_alone(found: Scene, server: Server) -> None:
    """Knocks are a minute apart at least; of the later ones unit/test_rests.py tells. What was open ends at first."""
    began = time.time() + 1
    time.sleep(1 + LEFT_ALONE)
    assert openings(found.capture.sent(server.address4, began)) == []
