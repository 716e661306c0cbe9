"""Bridges from Moat: asked for through what carries the household and never in clear, and Tor comes up over them."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

from routerd.links.bridges import is_good

from .box import Box
from .capture import Allowed
from .fault import prove_the_detector
from .lab import Lab
from .moat import Moat, setting, start_moat
from .net import wait_until
from .test_tor import SLOWEST
from .tornet import BRIDGE4, OBFS4_PORT, RELAYS4, TorNet

SERVERS = ["ss2022"]
DEAD4, DEAD_PORT = "203.0.113.99", 443
DEAD = f"obfs4 {DEAD4}:{DEAD_PORT} {'AB' * 20} cert={'A' * 70} iat-mode=0"
KNOWN_DEAD = Allowed(DEAD4, "tcp", DEAD_PORT)
BRIDGE = Allowed(BRIDGE4, "tcp", OBFS4_PORT)


@pytest.fixture(scope="module")
def tor(lab: Lab) -> TorNet:
    return TorNet.up(lab)


@pytest.fixture(scope="module")
def server(lab: Lab) -> Moat:
    return start_moat(lab.net, lab.ca)


@pytest.fixture
def moat(server: Moat, tor: TorNet) -> Iterator[Moat]:
    """Knows two bridges for Iran, of which we carry the second, and nothing that works for anybody else."""
    webtunnel = f"webtunnel 192.0.2.9:443 {'AB' * 20} url=https://w.example/ ver=0.0.1"
    server.know({"ir": [setting("webtunnel", webtunnel), setting("obfs4", tor.obfs4)], "defaults": [setting("obfs4", DEAD)]})
    (server.host.directory / "requests.log").unlink(missing_ok=True)
    yield server


def household(lab: Lab, moat: Moat, *transports: str, everybodys: str = DEAD) -> Box:
    """Moat's Tor first, then these; `everybodys`: the bridge that the box has from the start."""
    tables = f'[tor]\nmoat = "{moat.url}"\n[[transport]]\nname = "tor"\nkind = "tor"\nbridges = "moat"\n'
    box = Box(lab, transports, extra=tables, sources=())
    box.write()
    text = box.config.read_text().replace('interface = "wan0"\n', 'interface = "wan0"\ncountry = "ir"\n')
    (box.config.parent / "bridges.txt").write_text(f"# everybody has it\n{everybodys}\n")
    box.config.write_text(text)
    return box


def state_of(status: dict[str, object], name: str) -> str:
    return next(one["state"] for one in status["transports"] if one["name"] == name)  # type: ignore[attr-defined, no-any-return]


def test_tor_comes_up_over_bridges_that_were_asked_for_through_another_transport(lab: Lab, moat: Moat) -> None:
    prove_the_detector(lab)
    exit4 = lab.server("ss2022").address4
    capture = lab.capture([lab.server("ss2022"), KNOWN_DEAD, BRIDGE])
    box = household(lab, moat, "ss2022")
    try:
        box.start()
        box.wait_open("ss2022")
        took = box.wait(lambda status: state_of(status, "tor") == "up", SLOWEST)
        print(f"Tor is up {took:.1f} s after the other one")
        (asked,) = moat.requests()
        assert (asked["path"], asked["peer"], asked["asked"]["country"]) == ("/moat/circumvention/settings", exit4, "ir")
        kept = box.folder / "state" / "bridges.json"
        assert kept.stat().st_mode & 0o777 == 0o600
        lines = json.loads(kept.read_text())["lines"]
        assert [BRIDGE4 in line and is_good(line) for line in lines] == [True]
        assert not any(word in str(box.ask("GET", "/log")) for word in (BRIDGE4, lines[0].split("cert=")[1][:20]))
        box.stop()
        lab.server("ss2022").stop()  # all that is left is what was kept
        box.start()
        took = box.wait_open("tor", SLOWEST)
        print(f"with what was kept it is up {took:.1f} s after a restart")
        assert lab.phone.curl("https://blocked.example/ip", "-4", timeout=20).stdout.strip() == RELAYS4
        assert len(moat.requests()) == 1, "a restart is no reason to ask again"
    finally:
        box.stop()
        lab.server("ss2022").start()
    verdict = capture.stop()
    assert verdict.clean, str(verdict)


def test_while_nothing_carries_the_household_nothing_is_asked(lab: Lab, moat: Moat) -> None:
    prove_the_detector(lab)
    server = lab.server("ss2022")
    server.stop()
    capture = lab.capture([server, KNOWN_DEAD, BRIDGE])
    box = household(lab, moat, "ss2022")
    try:
        box.start()
        box.wait(lambda status: state_of(status, "ss2022") == "down", 40)
        wait_until(lambda: bool(capture.sent(DEAD4, 0.0)), 20, "everybody's bridge is tried")
        assert not moat.requests()
        server.start()
        box.wait(lambda status: state_of(status, "tor") == "up", 2 * SLOWEST)
        assert [asked["peer"] for asked in moat.requests()] == [server.address4], "once there was a way"
    finally:
        box.stop()
        server.start()
    verdict = capture.stop()
    assert verdict.clean, str(verdict)


def test_a_tor_that_works_asks_through_itself_and_is_not_disturbed_by_the_answer(lab: Lab, moat: Moat, tor: TorNet) -> None:
    moat.know({"ir": [setting("obfs4", DEAD)]})
    capture = lab.capture([BRIDGE])
    box = household(lab, moat, everybodys=tor.obfs4)
    try:
        box.start()
        box.wait_open("tor", SLOWEST)
        (engine,) = box.children("tor -f -")
        kept = box.folder / "state" / "bridges.json"
        wait_until(kept.exists, 30, "the answer is kept")
        assert DEAD4 in kept.read_text()
        assert [asked["peer"] for asked in moat.requests()] == [RELAYS4]
        with pytest.raises(Exception, match="another engine"):
            wait_until(lambda: box.children("tor -f -") != [engine], 5, "another engine")
        assert box.status()["active"] == "tor"
    finally:
        box.stop()
    verdict = capture.stop()
    assert verdict.clean, str(verdict)


@pytest.mark.parametrize(("days", "asks"), [(2, True), (0, False)], ids=["old", "fresh"])
def test_bridges_that_do_not_work_are_asked_for_anew_once_they_are_old(lab: Lab, moat: Moat, days: int, asks: bool) -> None:
    box = household(lab, moat, "ss2022")
    source = hashlib.sha256(f"{moat.url} ir".encode()).hexdigest()[:32]
    kept = box.folder / "state" / "bridges.json"
    kept.parent.mkdir()
    kept.write_text(json.dumps({"lines": [DEAD], "source": source, "at": time.time() - days * 86400}))
    try:
        box.start()
        box.wait_open("ss2022")
        assert not moat.requests(), "it has not shown yet that it does not work"
        (engine,) = box.children("tor -f -")
        os.kill(engine, signal.SIGKILL)
        if asks:
            box.wait(lambda status: state_of(status, "tor") == "up", SLOWEST)
        time.sleep(3)
        assert [asked["asked"]["country"] for asked in moat.requests()] == (["ir"] if asks else [])
        assert (BRIDGE4 in kept.read_text()) is asks
    finally:
        box.stop()
