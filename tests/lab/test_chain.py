"""One transport inside another: what the household sees, what the provider sees, and what is left when one of them dies."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from . import censor
from .box import Box
from .fault import LEAST, heavy_enough, prove_the_detector
from .household import Load
from .lab import Lab
from .net import wait_until
from .servers import Server
from .test_kinds import _ask

SERVERS = ["ss2022", "trojan", "wireguard"]
# The inner one, and the outer one: an engine in an engine, a tunnel in an engine, an engine in a tunnel.
PAIRS = [("ss2022", "trojan"), ("wireguard", "ss2022"), ("trojan", "wireguard")]
IDS = [f"{inner} in {outer}" for inner, outer in PAIRS]


def chained(lab: Lab, inner: str, outer: str, **more: object) -> Box:
    return Box(lab, [inner, outer], via={inner: outer}, **more)  # type: ignore[arg-type]


def fresh(lab: Lab, name: str) -> Server:
    """It may still send to what the run before had left open: that would be refused in clear."""
    server = lab.server(name)
    server.stop()
    server.start()
    return server


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(("inner", "outer"), PAIRS, ids=IDS)
def test_a_household_goes_through_both_and_the_provider_sees_the_outer_one_alone(
    lab: Lab, inner: str, outer: str, family: int
) -> None:
    prove_the_detector(lab)
    server = lab.server(inner)
    capture = lab.capture([fresh(lab, outer)], bulk=True)
    with chained(lab, inner, outer, family=family, named=[inner] if family == 4 else []) as box:
        box.wait_open(inner)
        for flag, seen in (("-4", server.address4), ("-6", server.address6)):
            answer = lab.phone.curl("https://blocked.example/ip", flag)
            assert answer.stdout.strip() == seen, answer.stderr
        for address in ("198.51.100.10", "2001:db8:51::10"):
            assert b"hello" in lab.phone.call(partial(_ask, address, 7))
        blob = lab.phone.curl("https://blocked.example/blob/10000000", "-o", "/dev/null", "-w", "%{size_download}")
        assert blob.stdout == "10000000"
        box.wait(lambda s: all(t["bytes_down"] > 10_000_000 for t in s["transports"]), 5, "both have carried it")
        box.stop()
    verdict = capture.stop()
    assert verdict.clean, str(verdict)


@contextmanager
def scene(lab: Lab, inner: str, outer: str, *others: str) -> Iterator[Box]:
    """The household sends all the while, and nothing may be seen but the packets of the outer one and of `others`."""
    prove_the_detector(lab)
    servers = [fresh(lab, name) for name in (outer, *others)]
    with Box(lab, [inner, outer, *others], via={inner: outer}) as box:
        box.wait_warm(2 + len(others))
        box.wait_open(inner)
        capture = lab.capture(servers, bulk=True)
        with Load(lab, udp_pps=LEAST, tcp_per_s=LEAST / 20) as load:
            wait_until(lambda: sum(load.counts().answered.values()) > 300, 15, "the household is served")
            yield box
        box.stop()
        verdict = capture.stop()
    print(verdict, load.counts().answered)
    assert verdict.clean, str(verdict)
    heavy_enough(load)


def state(box: Box, name: str) -> str:
    return str(next(t["state"] for t in box.status()["transports"] if t["name"] == name))


def downs(box: Box) -> list[str]:
    return [line["text"].split(":")[0] for line in box.ask("GET", "/log")["journal"] if line["kind"] == "down"]


def engine_of(box: Box, name: str) -> int:
    """The one of the outer transport, which has the second slot."""
    if name == "wireguard":
        return box.children("wireguard-go -f cw-2")[0]
    found = box.lab.router.run(["ss", "-Hltnp", "sport = :12302"]).stdout
    return int(found.split("pid=")[1].split(",")[0])


@pytest.mark.parametrize(("inner", "outer"), PAIRS, ids=IDS)
def test_when_the_outer_ones_engine_dies_nothing_goes_out_in_clear_and_both_come_back(
    lab: Lab, inner: str, outer: str
) -> None:
    with scene(lab, inner, outer) as box:
        for _ in range(3):
            os.kill(engine_of(box, outer), signal.SIGKILL)
            box.wait(lambda s: s["active"] is None, 5, "without it there is no way")
            box.wait_open(inner, 30)
        assert set(downs(box)) == {outer}, "the inner one was blamed"


def test_an_outer_one_that_another_needs_is_not_removed_and_when_it_is_disabled_both_stop(lab: Lab) -> None:
    with scene(lab, "ss2022", "trojan") as box:
        refused = box.ask("DELETE", "/transports/trojan")
        assert "via" in str(refused), refused
        assert state(box, "ss2022") == "up"
        box.ask("POST", "/transports/trojan/disable")
        box.wait(lambda s: s["active"] is None, 5, "nothing runs")
        assert state(box, "ss2022") == "down"
        time.sleep(2)
        box.ask("POST", "/transports/trojan/enable")
        box.wait_open("ss2022")


@pytest.mark.parametrize("refused", [False, True], ids=["in silence", "by reset"])
def test_a_blocked_outer_one_moves_both_and_the_inner_one_is_not_blamed(lab: Lab, refused: bool) -> None:
    outer = lab.server("trojan")
    with scene(lab, "ss2022", "trojan", "wireguard") as box:
        blocked = censor.ip_drop([outer.address4, outer.address6])
        # Chrome's ClientHello takes two packets, in any order: who does not put them together sees every other name.
        with lab.censor(censor.sni_reset([outer.hostname], reassemble=True) if refused else blocked):
            if refused:
                lab.isp.sh("conntrack -D -p tcp >/dev/null 2>&1 || true")
            box.wait_open("wireguard")
            time.sleep(3)
            assert downs(box) == ["trojan"]
            assert state(box, "ss2022") == "down"
        if not refused:  # once is enough: what was blocked is asked again once a minute
            box.wait(lambda s: all(t["state"] == "up" for t in s["transports"]), 120, "both are back")


def test_an_inner_one_that_is_dead_is_left_and_the_outer_one_carries_the_household(lab: Lab) -> None:
    with scene(lab, "ss2022", "trojan") as box:
        inner = lab.server("ss2022")
        inner.host.sh("ip link set eth0 down")
        try:
            box.wait_open("trojan", 15)
            assert downs(box) == ["ss2022"], box.ask("GET", "/log")
        finally:
            inner.host.sh("""ip link set eth0 up; ip -6 addr add 2001:db8:113::12/64 dev eth0 nodad
ip route replace default via 203.0.113.1; ip -6 route replace default via 2001:db8:113::1""")
