"""The fault catalogue, our own processes: each fault under load and under capture."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from . import censor
from .box import Box
from .fault import ROOT, SERVERS, engine, scene, switches, through
from .lab import Lab
from .net import wait_until
from .topology import static_wan

__all__ = ["SERVERS"]


def test_fault_01_the_daemon_is_killed_while_it_is_open(lab: Lab, box: Box) -> None:
    with scene(lab, box):
        box.stop(signal.SIGKILL)
        time.sleep(1)
        box.start()
        assert box.wait_open() < 5
        assert through(lab)


@contextmanager
def _blocked(lab: Lab, box: Box) -> Iterator[None]:
    with lab.censor(censor.total_outage()):
        box.wait(lambda s: s["phase"] == "blocked", 30)
        yield


@contextmanager
def _switching(lab: Lab, box: Box) -> Iterator[None]:
    """The first tries of a fresh daemon, which last as long as nothing answers them."""
    with lab.censor(censor.total_outage()):
        box.stop()
        box.start()
        box.wait(lambda s: s["phase"] == "switching", 5)
        yield


@contextmanager
def _offline(lab: Lab, box: Box) -> Iterator[None]:
    lab.router.sh("ip link set wan0 down")
    box.wait(lambda s: s["phase"] == "offline", 5)
    yield
    lab.router.sh("ip link set wan0 up")
    static_wan(lab.router)


@contextmanager
def _manual(lab: Lab, box: Box) -> Iterator[None]:
    box.ask("POST", "/use", {"name": "trojan"})
    box.wait_open("trojan", 5)
    yield


@contextmanager
def _closed(lab: Lab, box: Box) -> Iterator[None]:
    good = box.config.read_text()
    box.config.write_text("not what it should be")
    box.stop()
    box.start()
    box.wait(lambda s: s["phase"] == "closed", 5)
    yield
    box.config.write_text(good)
    box.ask("POST", "/reload")


@pytest.mark.parametrize("state", [_switching, _blocked, _offline, _closed, _manual], ids=lambda state: state.__name__[1:])
def test_fault_01_the_daemon_is_killed_in_each_other_state(
    lab: Lab, proxy: Box, state: Callable[[Lab, Box], contextlib.AbstractContextManager[None]]
) -> None:
    with scene(lab, proxy):
        with state(lab, proxy):
            proxy.stop(signal.SIGKILL)
            time.sleep(1)
            proxy.start()
            proxy.wait(lambda _: True, 2, "it runs again")
        assert proxy.wait_open() < 20
        wait_until(lambda: through(lab), 5, "the household is through")


def test_fault_02_the_daemon_is_stopped_for_a_while(lab: Lab, box: Box) -> None:
    """12 s stand for the catalogue's 60: systemd's WatchdogSec, which the lab has not, would end it after 20."""
    with scene(lab, box) as found:
        assert box.daemon
        before = switches(box)
        box.daemon.send_signal(signal.SIGSTOP)
        answered = found.answered()
        time.sleep(12)
        assert found.answered() > answered + 1000
        assert through(lab), "the ruleset and the engines go on without us"
        box.daemon.send_signal(signal.SIGCONT)
        print(f"open {box.wait_open(seconds=30):.1f} s after it went on")
        time.sleep(2)
        assert switches(box) == before


def test_fault_02_an_engine_ends_while_the_daemon_is_stopped(lab: Lab, proxy: Box) -> None:
    with scene(lab, proxy):
        assert proxy.daemon
        proxy.daemon.send_signal(signal.SIGSTOP)
        os.kill(engine(proxy, 12301), signal.SIGKILL)
        time.sleep(4)
        assert not through(lab)
        proxy.daemon.send_signal(signal.SIGCONT)
        began = time.monotonic()
        wait_until(lambda: through(lab), 30, "the household is through")
        print(f"through {time.monotonic() - began:.1f} s after it went on")


def test_fault_03_the_daemon_is_restarted(lab: Lab, box: Box) -> None:
    with scene(lab, box):
        box.stop()
        box.start()
        box.wait_open()
        assert through(lab)


def test_fault_05_an_engine_is_killed(lab: Lab, proxy: Box) -> None:
    with scene(lab, proxy):
        time.sleep(0.5)
        os.kill(engine(proxy, 12301), signal.SIGKILL)
        assert proxy.wait_open("trojan", 3) < 3
        assert through(lab)


def test_fault_08_an_engine_that_cannot_start_is_not_started_in_a_tight_loop(lab: Lab, proxy: Box) -> None:
    with scene(lab, proxy):
        taken = lab.router.popen([sys.executable, "-c", HOLD_PORTS], stdout=subprocess.PIPE)
        os.kill(engine(proxy, 12301), signal.SIGKILL)
        proxy.wait_open("trojan", 5)
        time.sleep(4)
        lines = [x for x in proxy.ask("GET", "/log")["journal"] if x["kind"] == "down" and "ss2022" in x["text"]]
        assert len(lines) <= 5, lines
        taken.kill()
        proxy.wait_warm(2, 30)


HOLD_PORTS = """
import socket, time
end = time.monotonic() + 30
while time.monotonic() < end:
    try:
        s = socket.socket(); s.bind(("127.0.0.1", 12301)); s.listen(); time.sleep(30)
    except OSError:
        time.sleep(0.01)
"""


def test_fault_15_a_second_daemon_is_refused(lab: Lab, proxy: Box) -> None:
    with scene(lab, proxy):
        before = lab.router.run(["nft", "-s", "list", "ruleset"]).stdout
        argv = [sys.executable, "-m", "routerd", "run", *proxy.arguments]
        done = lab.router.run(argv, check=False, cwd=ROOT)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert "another routerd" in done.stderr
        assert lab.router.run(["nft", "-s", "list", "ruleset"]).stdout == before


def test_fault_15_of_two_daemons_started_at_once_one_stays(lab: Lab, proxy: Box) -> None:
    with scene(lab, proxy):
        proxy.stop()
        started = []
        for _ in range(2):
            proxy.start()
            started.append(proxy.daemon)
        wait_until(lambda: any(one and one.poll() is not None for one in started), 5, "one of them has gone")
        proxy.wait_open()
        assert sorted(str(one and one.poll()) for one in started) == ["1", "None"]
        proxy.daemon = next(one for one in started if one and one.poll() is None)
        assert through(lab)
