"""The main job: what the household sees, through each kind of transport and through changes of transport."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import partial

import pytest

from . import censor
from .box import Box
from .household import Pulse
from .lab import Lab
from .recipes import RECIPES
from .tunnels import TUNNELS

KINDS = sorted([*RECIPES, *TUNNELS])
VISION = ("vless-reality", "vless-tls")  # carry no UDP 443: refused at once


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(KINDS) as lab:
        yield lab


@pytest.mark.parametrize("kind", KINDS)
def test_a_censored_site_opens_through(lab: Lab, kind: str) -> None:
    server = lab.server(kind)
    with Box(lab, [kind]) as box, lab.censor(censor.sni_reset(["blocked.example"])):
        box.wait_open(kind)
        for family, seen in (("-4", server.address4), ("-6", server.address6)):
            answer = lab.phone.curl("https://blocked.example/ip", family)
            assert answer.stdout.strip() == seen, answer.stderr
        assert lab.phone.dig("blocked.example") == ["198.51.100.10"]


def _echo(address: str, port: int = 443) -> bytes:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.sendto(b"hello", (address, port))
        return sock.recv(2048)


@pytest.mark.parametrize("kind", KINDS)
def test_udp_goes_through(lab: Lab, kind: str) -> None:
    with Box(lab, [kind]) as box:
        box.wait_open(kind)
        for address in ("198.51.100.10", "2001:db8:51::10"):
            assert b"hello" in lab.phone.call(partial(_echo, address, 7))
            if kind in VISION:
                with pytest.raises(ConnectionRefusedError):
                    lab.phone.call(partial(_ask_quic, address))
            else:
                assert b"hello" in lab.phone.call(partial(_echo, address))


def _ask_quic(address: str) -> bytes:
    """A connected socket hears of the refusal."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.connect((address, 443))
        sock.send(b"hello")
        return sock.recv(2048)


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
