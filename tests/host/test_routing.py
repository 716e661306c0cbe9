"""Rules and routes over netlink: what is there becomes what should be, of both families."""

import asyncio
from collections.abc import Awaitable, Callable

from pyroute2 import AsyncIPRoute

from routerd.host.routing import apply_addresses, apply_routes, apply_rules, interfaces
from routerd.model import ENGINES
from routerd.render.routing import LAN_TABLE, LAST_PRIORITY
from tests.golden.cases import plan_of
from tests.host.namespace import alone, household, sh

PLAN = plan_of("direct-on-failure", "open")


def with_netlink(do: Callable[[AsyncIPRoute], Awaitable[None]]) -> None:
    async def run() -> None:
        netlink = AsyncIPRoute()
        await netlink.setup_endpoint()
        await do(netlink)
        netlink.close()

    asyncio.run(run())


async def apply(netlink: AsyncIPRoute) -> None:
    await apply_rules(netlink, PLAN.rules)
    await apply_routes(netlink, PLAN.routes, await interfaces(netlink))


def shown() -> str:
    commands = ("ip -4 rule", "ip -6 rule", "ip -4 route show table all", "ip -6 route show table all")
    return "\n".join("\n".join(sorted(sh(command).splitlines())) for command in commands)


@alone
def test_applying_twice_is_applying_once() -> None:
    household()
    with_netlink(apply)
    once = shown()
    assert sh("ip -4 rule").count("\n") == 3 + sum(rule.family == 4 for rule in PLAN.rules)
    assert sh("ip -6 rule").count("\n") == 2 + sum(rule.family == 6 for rule in PLAN.rules)
    with_netlink(apply)
    assert shown() == once


@alone
def test_two_who_put_the_same_right_at_once_do_not_trip_over_each_other() -> None:
    household()
    with_netlink(apply)
    ours = lambda: [sh(f"ip -{family} {what}") for family in "46" for what in ("rule", f"route show table {LAN_TABLE}")]  # noqa: E731
    once = ours()

    async def both(netlink: AsyncIPRoute) -> None:
        other = AsyncIPRoute()
        await other.setup_endpoint()
        for _ in range(20):
            sh(f"ip -4 rule flush; ip -4 rule add pref 32766 lookup main; ip -4 rule add pref 32767 lookup default; ip route flush table {LAN_TABLE}")
            await asyncio.gather(apply(netlink), apply(other))
            await asyncio.gather(apply_rules(netlink, PLAN.rules), apply_rules(other, ()))
            await asyncio.gather(apply_rules(netlink, ()), apply_rules(other, ()))
            await apply(netlink)
        other.close()

    with_netlink(both)
    assert ours() == once


@alone
def test_engines_that_mark_nothing_are_routed_by_their_user_and_strangers_are_not() -> None:
    household()
    ways = plan_of("tor", "open")

    async def apply_those(netlink: AsyncIPRoute) -> None:
        await apply_rules(netlink, ways.rules)
        await apply_rules(netlink, ways.rules)

    with_netlink(apply_those)
    for family in "46":
        lines = sorted(line for line in sh(f"ip -{family} rule").splitlines() if "uidrange" in line)
        assert [line.split()[-3:] for line in lines] == [[f"{uid}-{uid}", "lookup", "main"] for uid in range(ENGINES + 1, ENGINES + 4)]
    with_netlink(apply)
    assert "uidrange" not in sh("ip -4 rule") + sh("ip -6 rule")


@alone
def test_the_lans_rules_end_in_prohibit_and_our_tables_in_unreachable() -> None:
    household()
    with_netlink(apply)
    for family in "46":
        assert "iif br-lan prohibit" in sh(f"ip -{family} rule")
        assert "unreachable default" in sh(f"ip -{family} route show table {LAN_TABLE}")


@alone
def test_strangers_in_our_range_go_and_those_outside_stay() -> None:
    household()
    with_netlink(apply)
    once = shown()
    for family in "46":
        sh(f"ip -{family} rule add priority {LAST_PRIORITY} iif br-lan table main")
        sh(f"ip -{family} route add default dev eth0 table {LAN_TABLE} metric 1")
    with_netlink(apply)
    assert shown() == once
    sh("ip rule add priority 100 from 10.9.9.9 table 99")
    with_netlink(apply)
    assert "10.9.9.9" in sh("ip rule")


@alone
def test_what_someone_deleted_is_put_back() -> None:
    household()
    with_netlink(apply)
    once = shown()
    for family in "46":
        sh(f"ip -{family} rule del priority 5220")
        sh(f"ip -{family} rule del priority 5010")
        sh(f"ip -{family} route flush table {LAN_TABLE}")
    assert shown() != once
    with_netlink(apply)
    assert shown() == once


@alone
def test_a_port_that_is_missing_leaves_its_table_unreachable() -> None:
    with_netlink(apply)
    assert "unreachable default" in sh(f"ip route show table {LAN_TABLE}")
    household()
    with_netlink(apply)
    assert "192.168.77.0/24 dev br-lan" in sh(f"ip route show table {LAN_TABLE}")


@alone
def test_the_lans_addresses_are_given_and_the_port_is_brought_up() -> None:
    sh("ip link add br-lan type veth peer name far; ip addr add 10.1.1.1/24 dev br-lan")

    async def give(netlink: AsyncIPRoute) -> None:
        index = (await interfaces(netlink))["br-lan"]
        for _ in range(2):
            await apply_addresses(netlink, index, PLAN.lan[1], only=False)
        assert "10.1.1.1/24" in sh("ip addr show br-lan")
        await apply_addresses(netlink, index, PLAN.lan[1], only=True)

    with_netlink(give)
    found = sh("ip addr show br-lan")
    assert "192.168.77.1/24" in found
    assert "fd77:77:77::1/64" in found
    assert "10.1.1.1" not in found
    assert "UP" in found.splitlines()[0]
