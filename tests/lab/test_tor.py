"""Tor, over an obfs4 bridge, a plain one and straight, in a private network of the lab's own: tornet.py."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from routerd.model import ENGINES

from . import censor
from .box import Box
from .capture import Allowed
from .household import Pulse
from .lab import Lab
from .net import Host, wait_until
from .tornet import BRIDGE4, BRIDGE6, BRIDGE_PORT, OBFS4_PORT, RELAYS4, RELAYS6, TorNet
from .topology import RESOLVERS4, SITE

SERVERS = ["ss2022"]
SLOWEST = 90.0  # seconds for tor to come up on a busy machine


@pytest.fixture(scope="module")
def tor(lab: Lab) -> TorNet:
    return TorNet.up(lab)


def entry(*lines: str) -> str:
    return '[[transport]]\nname = "tor"\nkind = "tor"\nbridges = [' + ", ".join(f'"{line}"' for line in lines) + "]\n"


@pytest.fixture(params=["obfs4", "plain bridge", "plain bridge by IPv6", "no bridge"])
def way(request: pytest.FixtureRequest, tor: TorNet) -> tuple[str, list[Allowed]]:
    """The settings, and what they let leave."""
    return {
        "obfs4": (entry(tor.obfs4), [Allowed(BRIDGE4, "tcp", OBFS4_PORT)]),
        "plain bridge": (entry(tor.plain), [Allowed(BRIDGE4, "tcp", BRIDGE_PORT)]),
        "plain bridge by IPv6": (entry(tor.plain6), [Allowed(BRIDGE6, "tcp", BRIDGE_PORT)]),
        "no bridge": (entry(), tor.allowed),
    }[request.param]


@pytest.fixture
def box(lab: Lab, way: tuple[str, list[Allowed]]) -> Iterator[Box]:
    settings, allowed = way
    capture = lab.capture(allowed)
    with Box(lab, [], extra=settings) as box:
        took = box.wait_open("tor", SLOWEST)
        print(f"seconds to come up: {took:.1f}")
        yield box
    verdict = capture.stop()
    print(verdict)
    assert verdict.clean, str(verdict)
    assert verdict.router_frames > 100


def test_a_censored_site_opens_names_are_answered_and_udp_is_refused_at_once(lab: Lab, box: Box) -> None:
    with lab.censor(censor.sni_reset(["blocked.example"])):
        for family, seen in (("-4", RELAYS4), ("-6", RELAYS6)):
            answer = lab.phone.curl("https://blocked.example/ip", family, timeout=20)
            assert answer.stdout.strip() == seen, answer.stderr
    assert lab.phone.dig("blocked.example", "A", None, timeout=5) == ["198.51.100.10"]
    start = time.monotonic()
    for address in ("198.51.100.10", "2001:db8:51::10"):
        with pytest.raises(ConnectionRefusedError):
            lab.phone.call(partial(ask, address))
    assert time.monotonic() - start < 1


def ask(address: str) -> bytes:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.connect((address, 443))
        sock.send(b"hello")
        return sock.recv(2048)


def test_its_user_reaches_its_bridge_and_without_bridges_all_that_is_outside(lab: Lab, tor: TorNet) -> None:
    site, user = SITE["open.example"].address4, str(ENGINES + 1)

    def connects(address: str, port: int) -> bool:
        argv = ["setpriv", "--reuid", user, "--clear-groups", "timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}"]
        return lab.router.run(argv, check=False).returncode == 0

    with Box(lab, [], extra=entry(tor.obfs4)) as box:
        box.wait_open("tor", SLOWEST)
        assert connects(BRIDGE4, OBFS4_PORT)
        assert not any(connects(*place) for place in ((BRIDGE4, BRIDGE_PORT), (site, 443), (RESOLVERS4[0], 53)))
    with Box(lab, [], extra=entry()) as box:
        box.wait_open("tor", SLOWEST)
        assert connects(site, 443)
        assert not connects(RESOLVERS4[0], 53)


def test_a_tor_that_is_killed_comes_back_with_what_it_knew(lab: Lab, tor: TorNet) -> None:
    with Box(lab, [], extra=entry(tor.obfs4)) as box:
        first = box.wait_open("tor", SLOWEST)
        folder = box.folder / "state" / "engines" / "tor-1"
        assert (folder.stat().st_uid, folder.stat().st_mode & 0o777) == (ENGINES + 1, 0o700)
        (engine,) = box.children("tor -f -")
        os.kill(engine, signal.SIGKILL)
        box.wait(lambda status: status["phase"] != "open", 10)
        again = box.wait_open("tor", SLOWEST)
        print(f"seconds to come up: {first:.1f}, with what it knew {again:.1f}")
        wait_until(lambda: len(helpers(lab.router)) == 1, 5, "the dead one's helper is gone too", 0.2)


def helpers(host: Host) -> list[str]:
    """Process ids of obfs4proxy there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "comm").read_text().strip() == "obfs4proxy" and (process / "ns" / "net").stat().st_ino == host.inode:
                found.append(process.name)
    return found


def test_how_much_goes_through(lab: Lab, tor: TorNet) -> None:
    with Box(lab, [], extra=entry(tor.obfs4)) as box:
        box.wait_open("tor", SLOWEST)
        url = "https://blocked.example/blob/10000000"
        answer = lab.phone.curl(url, "-o", "/dev/null", "-w", "%{size_download} %{speed_download}", timeout=60)
        size, speed = answer.stdout.split()
        assert size == "10000000", answer.stderr
        print(f"through the lab's Tor, over obfs4 and three hops: {float(speed) * 8 / 1e6:.0f} Mbit/s")


def test_a_blocked_bridge_is_left_for_the_next_rung_and_tor_is_a_rung_itself(lab: Lab, tor: TorNet) -> None:
    server = lab.server("ss2022")
    with Box(lab, ["ss2022"], extra=entry(tor.obfs4)) as box:
        box.wait_open("tor", SLOWEST)
        box.wait_warm(2)
        with Pulse(lab, "https://blocked.example/", interval=0.5, timeout=3) as pulse:
            time.sleep(2)
            with lab.censor(censor.ip_drop([BRIDGE4])):
                box.wait_open("ss2022", 30)
                pulse.wait_ok(5)
        print(f"seconds without service: {pulse.longest():.1f}")
        with lab.censor(censor.ip_drop([server.address4, server.address6])):
            box.wait_open("tor", SLOWEST)
            assert lab.phone.curl("https://blocked.example/ip", "-4", timeout=20).stdout.strip() == RELAYS4


def test_a_box_without_any_transport_says_what_it_uses_and_hands_over_to_the_next(lab: Lab, tor: TorNet) -> None:
    """Straight out by desync; and where addresses are blocked, which no strategy beats, Tor over the bridges of the file."""
    site = SITE["blocked.example"]
    box = Box(lab, [])
    (box.folder / "etc").mkdir()
    (box.folder / "etc" / "bridges.txt").write_text(f"# the lab's\n{tor.obfs4}\n")
    with box:
        box.wait_open("No server", 30)
        box.wait(lambda status: "(No server)" in titles(status), 5, "what it uses, in Status")
        with lab.censor(censor.ip_drop([site.address4, site.address6])), Pulse(lab, interval=0.5, timeout=5.0):
            box.wait_open("Tor (obfs4)", SLOWEST)
        box.wait(lambda status: "(Tor (obfs4))" in titles(status), 5, "what it uses, in Status")
        assert lab.phone.curl("https://blocked.example/ip", "-4", timeout=20).stdout.strip() == RELAYS4


def titles(status: dict[str, Any]) -> str:
    return " ".join(problem["title"] for problem in status["problems"] if problem["code"] == "own_ladder")
