"""The fault catalogue, what an ISP does to everybody: each fault under load and under capture."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from . import censor
from .box import Box
from .capture import Allowed
from .fault import SERVERS, SETS, SITE, home, scene, switches, through
from .lab import Lab
from .matrix import Cell, ask, nothing
from .net import wait_until
from .topology import RESOLVERS4

__all__ = ["SERVERS"]
BY_DOH = [Allowed(address, "tcp", 443) for address in RESOLVERS4]
LIES = {"no such name": [], "private addresses": ["10.0.0.1", "127.0.0.1", "::1"], "a block page": ["198.51.100.250"]}


# Every lie is told by the ISP's resolver and injected before each true answer that passes by.
@pytest.mark.parametrize("answers", LIES.values(), ids=LIES)
def test_fault_20_the_isp_poisons_names(lab: Lab, answers: Sequence[str]) -> None:
    """The transports' servers are names here, so that the box has to look them up while nothing carries it yet."""
    with lab.censor(censor.dns_lies(["example"], answers)):
        assert lab.domestic.dig("blocked.example", "A", RESOLVERS4[0]) != [SITE], "the control"
        with home(lab, SETS["proxy"], by_name=True) as box, scene(lab, box, also=BY_DOH):
            assert lab.phone.dig("blocked.example") == [SITE]
            box.stop()
            box.start()
            box.wait_warm(2)
            wait_until(lambda: through(lab), 5, "the household is through")
            assert lab.phone.dig("blocked.example", "A", "8.8.8.8") == [SITE]


def test_fault_21_a_captive_portal(lab: Lab, proxy: Box) -> None:
    """Every page of plain HTTP leads to the login, and TLS gets nowhere."""
    portal = censor.captive_portal()
    lab.censor.forge()
    try:
        with scene(lab, proxy):
            lab.censor.on(portal)
            proxy.wait(lambda s: s["phase"] == "blocked", 40)
            time.sleep(5)
            assert proxy.status()["phase"] == "blocked"
            assert lab.phone.run(["curl", "-s", "-m", "2", "http://198.51.100.10/"], check=False).returncode == 7
        assert ask(proxy, Cell("", "captive_portal", nothing))["verdict"] == "captive_portal"
    finally:
        lab.censor.off(portal)
    print(f"open {proxy.wait_open(seconds=30):.1f} s after the login")


def fetches(lab: Lab, tries: int, size: int = 64_000) -> None:
    """A large answer comes over TLS; how often the phone may ask."""
    argv = ["curl", "-sS", "-m", "15", "-o", "/dev/null", "-w", "%{size_download}", f"https://blocked.example/blob/{size}"]
    said = []
    for _ in range(tries):
        said.append(lab.phone.run(argv, timeout=30, check=False).stdout)
        if said[-1] == str(size):
            return
    raise AssertionError(f"came: {said} of {size} bytes")


def test_fault_22_a_line_that_loses_much(lab: Lab, box: Box) -> None:
    """At 20 % nothing may be left for it; what is left at 30 % is told."""
    with scene(lab, box):
        before = switches(box)
        with lab.censor(censor.loss(20)):
            fetches(lab, 3)
            time.sleep(8)
            assert switches(box) == before
        with lab.censor(censor.loss(30)):
            time.sleep(8)
            wait_until(lambda: through(lab), 20, "the household is through")
            print(f"at 30 %: {switches(box)[len(before) :]}")


@contextmanager
def _mtu(lab: Lab, told: bool) -> Iterator[None]:
    """The line takes 1280 bytes, and the router knows; or it does not, and nobody tells it."""
    lab.isp.sh("ip link set cust0 mtu 1280; ip link set exch0 mtu 1280")
    lab.router.sh(f"ip link set wan0 mtu {1280 if told else 1500}")
    if not told:
        rules = "icmp type destination-unreachable drop; icmpv6 type packet-too-big drop"
        lab.isp.sh(f"nft 'table inet hole {{ chain out {{ type filter hook output priority 0; {rules}; }}; }}'")
    try:
        yield
    finally:
        lab.isp.sh("ip link set cust0 mtu 1500; ip link set exch0 mtu 1500; nft delete table inet hole 2>/dev/null || true")
        lab.router.sh("ip link set wan0 mtu 1500")


def test_fault_22_on_a_line_of_small_packets_that_does_not_say_so_a_tunnel_over_tcp_comes_up_at_its_second_try(lab: Lab) -> None:
    lab.server("openvpn-tcp")
    with _mtu(lab, told=False), Box(lab, ["openvpn-tcp"]) as box:
        print(f"seconds to come up: {box.wait_open('openvpn-tcp', 60):.1f}")
        fetches(lab, 1)
        assert through(lab)
        journal = [line["text"] for line in box.ask("GET", "/log")["journal"]]
        assert any(line.startswith("openvpn-tcp: ") for line in journal), "it never failed, so the line was not narrow"


def test_fault_22_a_line_of_small_packets(lab: Lab, proxy: Box) -> None:
    """Told by ICMP, and not told: what is longer than 1280 bytes vanishes. Of links docs/decisions/0010 speaks."""
    with scene(lab, proxy):
        before = switches(proxy)
        for told in (True, False):
            with _mtu(lab, told):
                fetches(lab, 1)
                time.sleep(3)
                assert through(lab)
        assert switches(proxy) == before
