"""Leases and names: a device that knows nothing but DHCP, and devices that ask resolvers of their own."""

import json
from collections.abc import Iterator

import pytest

from .box import Box
from .dhcp import dhcp_client, has_lease
from .lab import Lab
from .net import wait_until

TRUE, TRUE6 = "198.51.100.10", "2001:db8:51::10"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(["ss2022", "trojan"]) as lab:
        yield lab


@pytest.fixture(scope="module")
def box(lab: Lab) -> Iterator[Box]:
    with Box(lab, ["ss2022", "trojan"]) as box:
        box.wait_open()
        yield box


@pytest.mark.parametrize("server", ["192.168.77.1", "fd77:77:77::1", "8.8.8.8", "192.0.2.53", "2001:db8:2::53"])
def test_port_53_is_answered_by_the_box_whatever_address_is_asked(lab: Lab, box: Box, server: str) -> None:
    assert lab.tv.dig("blocked.example", "A", server) == [TRUE]
    assert lab.tv.dig("blocked.example", "AAAA", server) == [TRUE6]
    assert lab.tv.dig("blocked.example", "A", server, "+tcp") == [TRUE]


def test_no_name_is_looked_up_in_clear(lab: Lab, box: Box) -> None:
    capture = lab.capture([lab.server("ss2022"), lab.server("trojan")], [lab.token])
    for name in ("blocked.example", "open.example", f"{lab.token}.example", "router.lan", "nosuch"):
        lab.tv.dig(name)
        lab.tv.dig(name, "A", "8.8.8.8")
    verdict = capture.stop()
    assert verdict.clean, str(verdict)


def test_the_box_answers_its_own_name_and_not_a_word_leaves_for_a_single_label(lab: Lab, box: Box) -> None:
    assert lab.tv.dig("router.lan") == ["192.168.77.1"]
    assert lab.tv.dig("printer") == []


def test_a_device_that_knows_only_dhcp_gets_through(lab: Lab, box: Box) -> None:
    with dhcp_client(lab.tv, "eth0"):
        wait_until(lambda: has_lease(lab.tv, "eth0"), 15, "the TV has a lease")
        wait_until(lambda: "default" in lab.tv.sh("ip route"), 5, "the TV has a way out")
        address = json.loads(lab.tv.sh("ip -4 -j addr show dev eth0"))[0]["addr_info"][0]["local"]
        assert 54 <= int(address.rsplit(".", 1)[1]) <= 254
        answer = lab.tv.curl("https://blocked.example/ip", "-4")
        assert answer.stdout.strip() == lab.server("ss2022").address4, answer.stderr


def test_a_device_gets_an_address_from_router_advertisements(lab: Lab, box: Box) -> None:
    lab.laptop.sh("ip -6 addr flush dev eth0 scope global; ip -6 route flush default; echo 1 > /proc/sys/net/ipv6/conf/eth0/accept_ra;"
                  " echo 1 > /proc/sys/net/ipv6/conf/eth0/autoconf; ip link set eth0 down; ip link set eth0 up")
    wait_until(lambda: "fd77:77:77:" in lab.laptop.sh("ip -6 addr show dev eth0 scope global -tentative"), 20, "SLAAC")
    answer = lab.laptop.curl("https://blocked.example/ip", "-6")
    assert answer.stdout.strip() == lab.server("ss2022").address6, answer.stderr
