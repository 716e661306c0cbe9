"""Links that other engines have addressed: of what a server gave, single addresses stay, and none of the household's."""

from base64 import b64encode
from ipaddress import ip_interface

import pytest
from pyroute2 import AsyncIPRoute

from routerd.host.links import Links
from routerd.model import Launch, Link
from tests.host.namespace import alone, household, sh
from tests.host.test_routing import with_netlink

LAN = (ip_interface("192.168.77.1/24"), ip_interface("fd77:77:77::1/64"))
LAUNCH = Launch("vpn", 3, ("openvpn",), Link("cw-3", (), 1400, families=(4, 6)), ())
GIVEN = (
    *("10.8.0.2/24", "10.9.0.6 peer 10.9.0.5", "11.0.0.1/1", "fd08::1000/64"),
    *("192.168.77.11/32", "192.168.77.12/8", "fd77:77:77::b/64"),
)


async def apply(netlink: AsyncIPRoute) -> None:
    assert await Links(kernel=frozenset({"wireguard"})).apply(netlink, [LAUNCH], LAN) == []


@alone
def test_what_a_server_gave_is_narrowed_and_the_households_taken_away() -> None:
    household()
    sh("ip link add cw-3 type veth peer name far; ip link set cw-3 up")
    for address in GIVEN:
        sh(f"ip addr add {address} dev cw-3")
    assert "cw-3" in sh("ip route")
    for _ in range(2):
        with_netlink(apply)
        found = [line.split()[3] for line in sh("ip -o addr show dev cw-3 scope global").splitlines()]
        assert sorted(found) == ["10.8.0.2/32", "10.9.0.6/32", "11.0.0.1/32", "fd08::1000/128"]
        assert "cw-3" not in sh("ip route")
        assert [line for line in sh("ip -6 route show dev cw-3").splitlines() if "/64" in line and "fe80" not in line] == []
        assert "mtu 1400" in sh("ip link show cw-3")


@alone
def test_a_link_whose_engine_takes_its_time_is_up_already_so_that_routes_may_lead_there() -> None:
    household()
    sh("ip link add cw-3 type veth peer name far")
    with_netlink(apply)
    assert ",UP" in sh("ip link show cw-3")


@alone
def test_a_link_that_its_engine_has_not_made_is_not_made_by_us() -> None:
    household()

    async def missing(netlink: AsyncIPRoute) -> None:
        assert await Links(kernel=frozenset({"wireguard"})).apply(netlink, [LAUNCH], LAN) == ["cw-3"]

    with_netlink(missing)
    assert "cw-3" not in sh("ip link")


@alone
def test_a_link_whose_engine_begins_anew_is_that_ones_alone_and_not_gone_meanwhile() -> None:
    household()
    sh("ip link add cw-3 type veth peer name far")

    async def story(netlink: AsyncIPRoute) -> None:
        links = Links(kernel=frozenset({"wireguard"}))
        assert await links.apply(netlink, [LAUNCH], LAN) == []
        links.forget(["cw-3"])
        assert await links.apply(netlink, [LAUNCH], LAN) == ["cw-3"], "the old one's may still stand"
        assert links.made() == set()
        sh("ip link del cw-3; ip link add cw-3 type veth peer name far")
        assert await links.apply(netlink, [LAUNCH], LAN) == []
        assert links.made() == {"cw-3"}

    with_netlink(story)


@alone
def test_what_a_link_is_refused_for_is_told_without_its_keys_and_the_others_are_made() -> None:
    """As an awg that is older than the file."""
    household()
    secret = b64encode(bytes(32)).decode()
    sh("ip link add cw-3 type veth peer name far; ip link add cw-4 type veth peer name off")
    refused = Link("cw-4", (ip_interface("10.9.0.2/32"),), wireguard=f"[Interface]\nHeaderProtectionKey = {secret}\n")

    async def story(netlink: AsyncIPRoute) -> None:
        links = Links(kernel=frozenset())
        assert await links.apply(netlink, [Launch("awg", 4, ("wireguard-go",), refused, ()), LAUNCH], LAN) == []
        assert links.refused == {"cw-4": "wg setconf: Line unrecognized: HeaderProtectionKey; Configuration parsing error"}
        assert await links.apply(netlink, [LAUNCH], LAN) == []
        assert links.refused == {}

    with_netlink(story)
    assert "mtu 1400" in sh("ip link show cw-3")
    assert "cw-4" not in sh("ip link")


@alone
def test_a_link_that_is_refused_is_up_all_the_same_so_that_the_routes_of_all_may_be_set() -> None:
    household()
    sh("ip link add cw-4 type veth peer name off")
    link = Link("cw-4", (ip_interface("10.9.0.2/32"),), wireguard="[Interface]\nJc = 4\n")

    async def story(netlink: AsyncIPRoute) -> None:
        await Links(kernel=frozenset()).apply(netlink, [Launch("awg", 4, ("wireguard-go",), link, ())], LAN)

    with_netlink(story)
    assert ",UP" in sh("ip link show cw-4")


@alone
def test_an_engine_that_does_not_listen_yet_is_asked_again_and_not_given_up() -> None:
    household()
    sh("ip link add cw-3 type veth peer name far; ip link add cw-4 type veth peer name off")
    link = Link("cw-4", (ip_interface("10.9.0.2/32"),), wireguard="[Interface]\nFwMark = 0x1\n")

    async def story(netlink: AsyncIPRoute) -> None:
        links = Links(kernel=frozenset())
        with pytest.raises(OSError, match="cw-4: wg setconf: Unable to modify interface"):
            await links.apply(netlink, [Launch("wg", 4, ("wireguard-go",), link, ()), LAUNCH], LAN)
        assert links.refused == {}

    with_netlink(story)
    assert "mtu 1400" in sh("ip link show cw-3")
