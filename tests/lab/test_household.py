"""The main job through changes of transport: what the household sees. Kind by kind: test_kinds.py."""

import os
import signal
import subprocess
import time

from . import censor
from .box import Box
from .household import Pulse
from .lab import Lab

SERVERS = ("ss2022", "hysteria2", "trojan")


def test_a_blackholed_transport_is_left_within_ten_seconds(lab: Lab) -> None:
    first = lab.server("ss2022")
    with Box(lab, ["ss2022", "hysteria2", "trojan"]) as box:
        box.wait_warm(3)
        with Pulse(lab, "https://blocked.example/", interval=0.5) as pulse:
            time.sleep(1)
            with lab.censor(censor.ip_drop([first.address4, first.address6])):
                box.wait_open("hysteria2")
                pulse.wait_ok(5)
        print(f"seconds without service: {pulse.longest():.1f}")
        assert pulse.longest() <= 10


def test_when_nothing_is_up_the_household_is_refused_at_once(lab: Lab) -> None:
    with Box(lab, ["ss2022"]) as box:
        box.wait_open()
        with lab.censor(censor.total_outage()):
            box.wait(lambda s: s["phase"] == "blocked", 30)
            start = time.monotonic()
            answer = lab.phone.curl("https://198.51.100.10/", "-k")
            assert answer.returncode == 7
            assert time.monotonic() - start < 1


def test_names_are_answered_again_at_once_when_an_engine_dies(lab: Lab) -> None:
    with Box(lab, ["ss2022", "trojan"]) as box:
        box.wait_warm(2)
        assert lab.phone.dig("blocked.example")
        (engine,) = [p for p in box.children("run -c stdin") if _listens_on(p, "12301")]
        os.kill(engine, signal.SIGKILL)
        start = time.monotonic()
        while not lab.phone.dig("blocked2.example"):
            assert time.monotonic() - start < 8, "no name was answered"
        assert box.status()["active"] == "trojan"


def _listens_on(pid: int, port: str) -> bool:
    found = subprocess.run(
        ["nsenter", "-t", str(pid), "-n", "ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True
    )
    return f"pid={pid}," in found.stdout
