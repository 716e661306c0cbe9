"""Straight out without a server: nothing listed leaves whole, nothing is asked for by port 53, whatever happens to the worker.

In this mode the household's packets are direct by design, so the verdict is another one: no frame with the site's name
in one piece, and no port 53 (research/reliability.md, 2.0).
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.openapi import event_conforms

from . import censor, plain_router
from .box import Box
from .capture import Allowed, Capture
from .fault import FIREWALL_OFF
from .household import Load, Pulse
from .lab import Lab
from .net import wait_until
from .topology import RESOLVERS4, SITE
from .verdict import flow_of, frames

SERVERS = ["ss2022"]
HOST, SITE4 = "blocked.example", SITE["blocked.example"].address4
URL = f"https://{HOST}/"
SPLIT = "split(1,midsld)"  # no packet has the name in one piece
STRAIGHT = (Allowed(None, "tcp", 443), Allowed(None, "tcp", 80), Allowed(None, "udp", 443), Allowed(None, "udp", 7))


def table(strategy: str = "auto", name: str = "none") -> str:
    return f'[[transport]]\nname = "{name}"\nkind = "desync"\nstrategy = "{strategy}"\n'


def box_with(lab: Lab, strategy: str = "auto", others: tuple[str, ...] = ()) -> Box:
    lab.router.sh(FIREWALL_OFF)
    return Box(lab, others, extra=table(strategy))


@contextmanager
def watched(lab: Lab) -> Iterator[list[str]]:
    """At the end it holds what was wrong: names in one piece, port 53, and whatever else is not the household's own."""
    found: list[str] = []
    capture = Capture.start(lab.isp, lab.router, STRAIGHT, (HOST,), bulk=True)
    try:
        yield found
    finally:
        verdict = capture.stop()
        print(verdict)
        found += [str(leak) for leak in verdict.leaks]


def loads(lab: Lab, *options: str) -> bool:
    return lab.page_token(HOST) in lab.phone.curl(URL, "-m", "5", *options).stdout


def seconds_until_loaded(lab: Lab, limit: float, *options: str) -> float:
    """As a browser does, that tries again when it was reset."""
    began = time.monotonic()
    wait_until(lambda: loads(lab, *options), limit, f"{URL} opens", 0.2)
    return time.monotonic() - began


def test_the_detector_sees_a_name_that_leaves_whole_and_a_question_in_clear(lab: Lab) -> None:
    with plain_router(lab), watched(lab) as wrong:
        assert loads(lab)
        lab.phone.run(["dig", "+tries=1", "+time=1", f"@{RESOLVERS4[0]}", "other.example"], check=False)
    assert any("canary" in leak for leak in wrong)
    assert any("dns" in leak for leak in wrong)


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_a_fixed_strategy_carries_the_household_and_no_name_leaves_whole(lab: Lab, family: str) -> None:
    with watched(lab) as wrong, box_with(lab, SPLIT) as box:
        box.wait_open("none")
        assert loads(lab, family)
        blob = lab.phone.curl(f"{URL}blob/10000000", family, "-o", "/dev/null", "-w", "%{size_download}")
        assert blob.stdout == "10000000"
        answer = lab.phone.run(["dig", "+short", "+tries=1", "+time=3", f"@{RESOLVERS4[0]}", HOST]).stdout
        assert SITE4 in answer, "fault 27: whomever it asks, the box answers"
        assert "straight" in {problem["code"] for problem in box.status()["problems"]}
    assert not wrong, wrong


def test_the_worker_has_no_rights_but_its_own(lab: Lab) -> None:
    with box_with(lab, SPLIT) as box:
        box.wait_open("none")
        (pid,) = box.children("worker.py")
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        net_admin_and_raw = 1 << 12 | 1 << 13
        assert (status["Uid"].split()[0] != "0", status["NoNewPrivs"]) == (True, "1")
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == net_admin_and_raw
        assert HOST not in Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.parametrize("by", ["ttl", "badsum", "badseq", "md5", "oldts"])
def test_no_decoy_leaves_with_an_address_of_the_household(lab: Lab, by: str) -> None:
    """What connection tracking takes for none of its flows is not translated: the provider would see who sent it."""
    file = lab.directory / "wire.pcap"
    with box_with(lab, f"fake(hello,{by}) around({by}) split(1,midsld)") as box:
        box.wait_open("none")
        capture = Capture.start(lab.isp, lab.router, STRAIGHT, ())
        assert loads(lab, "-4") and loads(lab, "-6")
        capture.stop(keep=file)
    sources = {flow_of(frame).src for _, frame in frames(file.read_bytes()) if frame[6:12] == capture.router_mac}
    assert len(sources) >= 2 and not [one for one in sources if one.startswith(("192.168.77.", "fd77:"))], sources


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
def test_fault_11_without_its_worker_nothing_goes_out_and_it_is_back_soon(lab: Lab, number: signal.Signals) -> None:
    limit = {signal.SIGKILL: 3.0, signal.SIGSTOP: 8.0}[number]
    with watched(lab) as wrong, box_with(lab, SPLIT) as box:
        box.wait_open("none")
        with Load(lab, tcp_per_s=0), Pulse(lab, URL, interval=0.1) as pulse:
            pulse.wait_ok(5)
            (pid,) = box.children("worker.py")
            os.kill(pid, number)
            struck = time.monotonic()
            wait_until(lambda: pid not in box.children("worker.py"), limit, "it is replaced", 0.02)
            took = time.monotonic() - struck + pulse.wait_ok(limit)
            print(f"back after {took:.2f} s")
            assert took < limit
            time.sleep(1)
        assert any(not beat.ok for beat in pulse.beats), "the fault did nothing"
    assert not wrong, wrong


def test_without_its_worker_and_with_nobody_who_hands_over_nothing_goes_out_either(lab: Lab) -> None:
    """The rule that hands over is taken away, and the daemon that would put it back is stopped."""
    with watched(lab) as wrong, box_with(lab, SPLIT) as box:
        box.wait_open("none")
        assert box.daemon
        box.daemon.send_signal(signal.SIGSTOP)
        lab.router.sh("for t in iptables-nft ip6tables-nft; do $t -t mangle -F; done; nft delete table inet clearway_queue || true")
        for family in ("-4", "-6"):
            assert lab.phone.curl(URL, family, "-m", "2", "--resolve", f"{HOST}:443:{SITE4}").returncode != 0
        box.daemon.send_signal(signal.SIGCONT)
        assert seconds_until_loaded(lab, 10) < 10, "the daemon puts it back"
    assert not wrong, wrong


def test_a_site_that_is_reset_by_name_opens_within_seconds_and_at_once_from_then_on(lab: Lab) -> None:
    with box_with(lab) as box:
        box.wait_open("none")
        assert box.ask("GET", "/desync") == {"known": []}, "what works plain is left as it is"
        with lab.censor(censor.sni_reset([HOST])):
            first = seconds_until_loaded(lab, 15)
            second = seconds_until_loaded(lab, 5)
            print(f"first page after {first:.2f} s, then {second:.2f} s")
            assert second < 1
            [known] = box.ask("GET", "/desync")["known"]
            assert known["sites"] == 1 and known["strategy"]
            assert HOST not in str(box.ask("GET", "/log")), "nobody writes down whom the household visits"


def test_what_no_strategy_beats_is_given_up_and_the_next_rung_carries(lab: Lab) -> None:
    blocked = censor.ip_drop([SITE[HOST].address4, SITE[HOST].address6])
    with box_with(lab, others=("ss2022",)) as box:
        box.wait_open("none")
        with lab.censor(blocked):
            with Pulse(lab, URL, interval=0.5, timeout=5.0):  # it is the household that notices
                took = box.wait(lambda s: s["active"] == "ss2022", 30, "the next rung carries")
            print(f"handed over after {took:.1f} s")
            assert loads(lab)


def test_nothing_that_must_be_covered_takes_the_straight_way(lab: Lab) -> None:
    """A diagnosis that the provider is not to see, with nothing but desync up: it says so, and sends nothing."""
    with box_with(lab) as box:
        box.wait_open("none")
        secret = "secret-site.example"
        capture = Capture.start(lab.isp, lab.router, STRAIGHT, (secret,))
        answer = box.ask("POST", "/diagnose", {"host": secret, "direct": False}, 40)
        verdict = capture.stop()
        assert not answer["through"], answer
        assert verdict.clean, str(verdict)


def test_the_owner_can_look_for_a_strategy_and_sees_each_try(lab: Lab) -> None:
    with box_with(lab) as box:
        box.wait_open("none")
        ctl = [str(Path(sys.executable).parent / "routerctl"), "--socket", str(box.socket), "desync"]
        opens = lab.router.run([*ctl, "search", HOST], timeout=60)
        assert "as it is" in opens.stdout
        with lab.censor(censor.sni_blackhole([HOST])):
            found = lab.router.run([*ctl, "search", HOST], timeout=60)
            assert "works, and is used from now on" in found.stdout, found.stdout
            told = lab.router.run([*ctl, "search", HOST, "--json"], timeout=60)
        for line in map(json.loads, told.stdout.splitlines()):
            event_conforms("POST", "/desync/search", "done" if line.get("done") else "progress", line)
        for wrong, why in (("nowhere.example", "nobody answers"), ("not a host", "host:")):
            refused = lab.router.run([*ctl, "search", wrong], timeout=60, check=False)
            assert refused.returncode == 1 and why in refused.stderr and refused.stderr.count("\n") == 1, refused.stderr
