"""A DNS tunnel by the line's own resolver: which one is asked, what a new lease restarts, and what is said without one."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Interface, IPv6Interface, ip_address
from types import MappingProxyType

import pytest

from routerd.lease import resolver
from routerd.links import parse
from routerd.model import UPSTREAM_SLOT, Configured, Leased, Probed, Starting, State, Up, Upstream
from routerd.plan import plan
from routerd.settings import Entry, Settings, parse_settings
from routerd.status import Beside, present, status
from routerd.table import SettingsError
from routerd.watchdog import step

TUNNEL = parse("iodine://letmein@t.example.org").transport
TROJAN = parse("trojan://x@192.0.2.1:443?sni=a.example").transport
ENTRIES = {"t": Entry("t", TUNNEL), "a": Entry("a", TROJAN)}
HOME = Settings("eth0", "br-lan", IPv4Interface("192.168.77.1/24"), IPv6Interface("fd77::1/64"), transports=MappingProxyType(ENTRIES))
LEASES = "/run/clearway/leases/dnsmasq.leases"
FIRST, SECOND = ip_address("100.64.0.53"), ip_address("198.51.100.253")


def leased(*texts: str) -> Leased:
    return Leased(tuple(map(ip_address, texts)))


def up(*resolvers: str) -> State:
    """Both carry, the tunnel by the first of these resolvers."""
    state = step(HOME, State(), Configured(), 0.0)
    for now, event in enumerate((leased(*resolvers), Probed("t", 50.0), Probed("a", 50.0)), 1):
        state = step(HOME, state, event, float(now))
    return state


@pytest.mark.parametrize(
    "refused",
    [
        "127.0.0.53", "::1", "0.0.0.0", "0.1.2.3", "::", "224.0.0.251", "ff02::fb", "255.255.255.255", "240.0.0.1", "169.254.1.1",
        "fe80::1", "::ffff:127.0.0.1", "192.168.77.1", "192.168.77.50", "fd77::5",
    ],
)
def test_nobody_at_home_no_group_and_nobody_on_the_box_is_asked(refused: str) -> None:
    state = replace(State(), resolvers=(ip_address(refused), FIRST))
    assert resolver(HOME, state) == FIRST
    assert resolver(HOME, replace(state, resolvers=(ip_address(refused),))) is None


@pytest.mark.parametrize("good", ["192.0.2.1", "192.168.1.1", "10.0.0.1", "100.64.0.1", "2001:db8::53", "fd00::53"])
def test_a_resolver_of_the_internet_or_of_the_providers_own_network_is_asked(good: str) -> None:
    assert resolver(HOME, replace(State(), resolvers=(ip_address(good),))) == ip_address(good)


def test_of_all_the_world_the_tunnel_may_ask_the_leased_resolver_alone() -> None:
    found = plan(HOME, up(str(FIRST), str(SECOND)), LEASES)
    launch = next(launch for launch in found.launches if launch.name == "t")
    assert launch.upstreams == (Upstream(FIRST, "udp", 53, 53),)
    assert launch.via == UPSTREAM_SLOT
    assert f"ip daddr {FIRST} udp dport 53" in found.policy
    assert str(SECOND) not in found.policy
    assert not found.lookups


def test_a_new_lease_restarts_the_tunnel_and_nothing_else() -> None:
    before = up(str(FIRST))
    after = step(HOME, before, leased(str(SECOND)), 9.0)
    assert after.health["t"] == Starting(9.0)
    assert after.health["a"] == before.health["a"]
    launches = {launch.name: launch for launch in plan(HOME, after, LEASES).launches}
    assert launches["t"].upstreams == (Upstream(SECOND, "udp", 53, 53),)
    assert launches["a"] in plan(HOME, before, LEASES).launches


def test_a_lease_that_names_the_same_one_first_restarts_nothing() -> None:
    before = up(str(FIRST))
    after = step(HOME, before, leased("127.0.0.1", str(FIRST), str(SECOND)), 9.0)
    assert after.health == before.health
    assert isinstance(after.health["t"], Up)


def test_without_a_resolver_it_is_said_once_and_the_rest_goes_on() -> None:
    state = step(HOME, up(str(FIRST)), leased("127.0.0.53"), 9.0)
    found = plan(HOME, state, LEASES)
    assert [launch.name for launch in found.launches] == ["a"]
    assert not found.lookups
    assert "no_resolver" in present(HOME, state)
    assert "no_resolver" not in present(HOME, up(str(FIRST)))
    told = status(HOME, state, Beside(datetime(2026, 1, 1, tzinfo=UTC)), "1.0")
    assert [p.code for p in told.problems].count("no_resolver") == 1
    shown = {one.name: one for one in told.transports}["t"]
    assert (shown.state, shown.last_error) == ("down", "the line's lease names no resolver")


def test_a_tunnel_that_is_switched_off_asks_for_no_resolver() -> None:
    off = replace(HOME, transports=MappingProxyType({**ENTRIES, "t": replace(ENTRIES["t"], enabled=False)}))
    assert "no_resolver" not in present(off, State())


def test_the_lines_own_resolver_is_not_asked_through_another_transport() -> None:
    text = 'wan.interface = "a"\nlan.interface = "b"\nlan.address = "10.0.0.1/24"\n'
    text += '[[transport]]\nname = "t"\nuri = "iodine://pw@t.example.org"\nvia = "a"\n'
    text += '[[transport]]\nname = "a"\nuri = "ss://2022-blake3-aes-128-gcm:AAECAwQFBgcICQoLDA0ODw%3D%3D@192.0.2.1:8388"\n'
    with pytest.raises(SettingsError, match="line's own resolver"):
        parse_settings(text, lambda _path: "")
    named = text.replace("pw@t.example.org", "pw@192.0.2.53?domain=t.example.org")
    assert parse_settings(named, lambda _path: "").transports["t"].via == "a"
