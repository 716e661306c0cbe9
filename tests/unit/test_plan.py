"""From where we stand to how the box should look: the choice, and what may leave in clear."""

from dataclasses import replace
from ipaddress import IPv4Interface, ip_address
from types import MappingProxyType

import pytest

from routerd.links import parse, wg_quick
from routerd.model import (
    ENGINES,
    UPSTREAM_SLOT,
    Clock,
    Direct,
    Down,
    Health,
    Plan,
    Refuse,
    Starting,
    State,
    Tproxy,
    Up,
    Upstream,
)
from routerd.plan import closed, plan
from routerd.render.policy import switch
from routerd.settings import Entry, Settings, Subscription

LEASES = "/run/clearway/leases/dnsmasq.leases"
REST = Down(60.0, 1, "timed out")


def household(*links: str, **more: object) -> Settings:
    names = "abcdefgh"
    entries = {n: Entry(n, parse(link).transport) for n, link in zip(names, links, strict=False)}
    base = Settings("eth0", "br-lan", IPv4Interface("192.168.77.1/24"), transports=MappingProxyType(entries))
    return replace(base, **more)  # type: ignore[arg-type]


def standing(active: str | None = None, wish: str | None = None, **health: Health) -> State:
    slots = {name: i + 1 for i, name in enumerate(health)}
    return State(health=health, slots=slots, active=active, wish=wish)


ONE = "trojan://x@192.0.2.1:443?sni=a.example"
TWO = "trojan://x@192.0.2.2:8443?sni=a.example"
NAMED = "trojan://x@server.example:443"


def test_new_flows_go_to_the_active_one() -> None:
    found = plan(household(ONE, TWO), standing("b", a=REST, b=Up(0, 50)), LEASES)
    assert found.switch == switch(2)


@pytest.mark.parametrize("health", [{}, {"a": Starting(0)}, {"a": REST}, {"a": Up(0, 50)}])
def test_without_an_active_one_new_flows_are_refused(health: dict[str, Health]) -> None:
    assert plan(household(ONE), standing(**health), LEASES).switch == switch(Refuse())


def test_an_active_one_that_is_not_launched_gets_no_flows() -> None:
    assert plan(household(ONE), standing("a", a=REST), LEASES).switch == switch(Refuse())
    assert plan(household(NAMED), standing("a", a=Up(0, 50)), LEASES).switch == switch(Refuse())


def test_the_owner_may_open_it_when_everything_failed() -> None:
    settings = household(ONE, TWO, on_failure="direct")
    assert plan(settings, standing(a=REST, b=REST), LEASES).switch == switch(Direct())
    assert plan(settings, standing(a=REST, b=Starting(0, failures=1)), LEASES).switch == switch(Direct())


@pytest.mark.parametrize(
    "state",
    [
        standing(),
        standing(a=Starting(0), b=Starting(0)),
        standing(a=REST, b=Starting(0)),
        standing(wish="a", a=REST, b=REST),
    ],
    ids=["at the very start", "while all are tried", "while one is tried for the first time", "with a wish"],
)
def test_even_then_it_stays_shut(state: State) -> None:
    assert plan(household(ONE, TWO, on_failure="direct"), state, LEASES).switch == switch(Refuse())


def test_while_the_line_is_down_new_flows_are_refused_at_once() -> None:
    offline = replace(standing("a", a=Up(0, 50)), wan_up=False)
    assert plan(household(ONE, on_failure="direct"), offline, LEASES).switch == switch(Refuse())


def test_by_default_nothing_ever_goes_direct() -> None:
    found = plan(household(ONE, TWO), standing(a=REST, b=REST), LEASES)
    assert found.switch == switch(Refuse())
    assert "exit_direct" in found.policy
    assert "the owner said direct" not in found.policy


def test_only_a_diagnosis_lets_the_box_ask_in_clear() -> None:
    settings, state = household(ONE), standing("a", a=Up(0, 50))
    usual, during = (plan(settings, replace(state, diagnosing_until=until), LEASES) for until in (None, 30.0))
    assert "0x72000000" not in usual.policy
    assert "0x72000000" in during.policy
    assert [rule.mark for rule in during.rules if rule not in usual.rules] == [0x72000000, 0x72000000]
    assert replace(during, policy=usual.policy, rules=usual.rules) == usual
    assert "0x72000000" not in closed(settings, LEASES).policy


def test_resting_transports_have_no_child_and_no_probe() -> None:
    found = plan(household(ONE, TWO), standing("b", a=REST, b=Up(0, 50)), LEASES)
    assert [launch.name for launch in found.launches] == ["b"]
    assert [probe.name for probe in found.probes] == ["b"]


def test_in_clear_go_only_the_running_transports_upstreams() -> None:
    found = plan(household(ONE, TWO), standing("b", a=REST, b=Up(0, 50)), LEASES)
    assert "ip daddr 192.0.2.2 tcp dport 8443" in found.policy
    assert "192.0.2.1" not in found.policy
    assert "9.9.9.9" not in found.policy


def test_the_resolvers_may_be_asked_in_clear_only_while_a_servers_address_is_unknown() -> None:
    settings = household(NAMED)
    unknown = plan(settings, standing(a=Starting(0)), LEASES)
    assert (unknown.lookups, unknown.launches) == ((("server.example", UPSTREAM_SLOT),), ())
    assert "ip daddr 9.9.9.9 tcp dport 443" in unknown.policy
    known = replace(standing(a=Starting(0)), addresses={"server.example": (ip_address("192.0.2.7"),)})
    found = plan(settings, known, LEASES)
    assert found.lookups == ()
    assert "9.9.9.9" not in found.policy
    assert found.launches[0].upstreams == (Upstream(ip_address("192.0.2.7"), "tcp", 443, 443),)


def test_probes_are_quick_where_it_matters() -> None:
    state = standing("a", a=Up(0, 50), b=Up(0, 50), c=Starting(0))
    active, standby, starting = plan(household(ONE, TWO, ONE), state, LEASES).probes
    assert starting.interval < active.interval < standby.interval
    assert (active.urgent, standby.urgent, active.watched, standby.watched) == (0, 0, True, False)


def test_while_the_active_one_is_doubted_its_standbys_are_probed_too() -> None:
    state = standing("a", a=Up(0, 50, points=2, sign="silent"), b=Up(0, 50))
    active, standby = plan(household(ONE, TWO), state, LEASES).probes
    assert (active.urgent, active.sign, standby.urgent, standby.sign) == (2, "silent", 1, None)


def test_who_pays_by_the_megabyte_is_probed_more_rarely() -> None:
    state = standing("a", a=Up(0, 50), b=Up(0, 50))
    usual = plan(household(ONE, TWO), state, LEASES).probes
    sparing = plan(household(ONE, TWO, metered=True), state, LEASES).probes
    assert all(s.interval > u.interval and s.large_every > u.large_every for s, u in zip(sparing, usual, strict=True))


def test_what_a_transport_was_seen_not_to_carry_is_refused_and_asked_for_again() -> None:
    found = plan(household(ONE), standing("a", a=Up(0, 50, lost=(("udp", 2), ("ipv6", 1)))), LEASES)
    (launch,) = found.launches
    assert isinstance(launch.exit, Tproxy)
    assert (launch.exit.udp, launch.exit.ipv6) == (False, True)
    assert found.probes[0].udp


def test_a_transport_that_keeps_failing_is_tried_more_and_more_rarely() -> None:
    few, many = (
        plan(household(ONE), standing(a=Starting(0, failures=n)), LEASES).probes[0].interval for n in (1, 1000)
    )
    assert (few, many) == (0.5, 6.0)


def test_canaries_are_probed_beside_the_targets() -> None:
    settings = household(ONE, canaries=("https://blocked.example/",))
    assert "https://blocked.example/" in plan(settings, standing(a=Up(0, 50)), LEASES).probes[0].targets


def test_a_transport_may_be_kept_off_ipv6() -> None:
    settings = household(ONE)
    entry = replace(settings.transports["a"], ipv6=False)
    off = replace(settings, transports={"a": entry})
    state = standing("a", a=Up(0, 50))
    assert "tproxy ip6 to" in plan(settings, state, LEASES).policy
    assert "tproxy ip6 to" not in plan(off, state, LEASES).policy


def test_what_a_kind_never_carries_is_refused_before_its_engine_and_not_asked_for() -> None:
    tcp_only, neither = "http://192.0.2.1:8080", "socks4://192.0.2.1:1080"
    found = plan(household(tcp_only, neither), standing("a", a=Up(0, 50), b=Up(0, 50)), LEASES)
    ways = {name: room(found.policy, f"into_{slot}") for name, slot in (("a", 1), ("b", 2))}
    assert [line.split("accept")[0].strip() for line in ways["a"] if "tproxy" in line] == [
        "meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:12301",
        "meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:12301",
    ]
    assert [line for line in ways["b"] if "tproxy ip6" in line] == []
    assert all("goto refuse" in way[-1] for way in ways.values())
    assert [probe.udp for probe in found.probes] == [(), ()]


def room(policy: str, name: str) -> list[str]:
    """The rules of one chain, as text."""
    return [line for line in policy.partition(f"chain {name} {{")[2].partition("}")[0].splitlines() if line.strip()]


def test_closed_has_no_transports_and_no_way_direct() -> None:
    found = closed(household(ONE, on_failure="direct"), LEASES)
    assert (found.launches, found.probes, found.lookups) == ((), (), ())
    assert found.switch == switch(Refuse())
    assert "the owner said direct" not in found.policy
    assert found.lan[0] == "br-lan"


def test_closed_without_settings_lets_nothing_through_and_routes_nothing() -> None:
    found = closed(None, LEASES)
    assert [line.strip() for line in (found.guard + found.policy).splitlines() if " accept" in line] == [
        'oifname "lo" accept comment "clearway: the box to itself"' if "oifname" in line
        else 'iifname "lo" accept comment "clearway: the box to itself"'
        for line in (found.guard + found.policy).splitlines() if " accept" in line
    ]
    assert (found.services, found.launches, found.rules, found.switch) == ((), (), (), "")
    assert ("net/ipv4/ip_forward", "0") in found.sysctls


def test_the_same_state_gives_the_same_plan() -> None:
    settings, state = household(ONE, TWO), standing("a", a=Up(0, 50), b=Starting(0))
    assert plan(settings, state, LEASES) == plan(settings, state, LEASES)


def test_a_switch_changes_nothing_but_the_switch() -> None:
    settings = household(ONE, TWO)
    before = plan(settings, standing("a", a=Up(0, 50), b=Up(0, 50)), LEASES)
    after = plan(settings, standing("b", a=Up(0, 50), b=Up(0, 50)), LEASES)
    assert before.switch != after.switch
    same = replace(after, switch=before.switch, probes=before.probes, clock=before.clock)
    assert same == before


# -- the date -----------------------------------------------------------------------------------------------------

WG = """[Interface]
PrivateKey = AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
Address = 10.9.0.2/32
[Peer]
PublicKey = AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
Endpoint = 192.0.2.1:51820
AllowedIPs = 0.0.0.0/0
"""
RETRIED = Starting(0, failures=1)


def asked(state: State) -> Clock:
    return plan(household(ONE, TWO), state, LEASES).clock


def test_the_date_is_asked_for_through_the_active_exit_alone() -> None:
    assert asked(standing("b", a=Up(0, 50), b=Up(0, 50))).ways == (2,)
    assert asked(standing("b", a=Up(0, 50), b=Up(0, 50))).proven


def test_without_an_active_one_it_is_asked_for_through_each_that_runs() -> None:
    assert asked(standing(a=Starting(0), b=Starting(0))).ways == (1, 2)


@pytest.mark.parametrize("health", [{"a": REST, "b": REST}, {"a": REST, "b": RETRIED}])
def test_directly_only_once_every_transport_has_failed(health: dict[str, Health]) -> None:
    state = standing(**health)
    assert asked(state).direct
    assert asked(state).ways[-1] == UPSTREAM_SLOT
    assert "ip daddr 8.8.8.8 tcp dport 443" in plan(household(ONE, TWO), state, LEASES).policy


@pytest.mark.parametrize(
    "state",
    [
        standing(),
        standing(a=Starting(0), b=REST),
        standing("a", a=Up(0, 50), b=REST),
        replace(standing(a=REST, b=REST), booted=1.8e9),
    ],
)
def test_never_directly_while_something_works_may_work_yet_or_the_date_is_known(state: State) -> None:
    assert not asked(state).direct
    assert UPSTREAM_SLOT not in asked(state).ways
    assert "8.8.8.8" not in plan(household(ONE, TWO), state, LEASES).policy


def test_nobody_is_asked_without_a_line() -> None:
    assert asked(replace(standing(a=REST, b=RETRIED), wan_up=False)).ways == ()


def test_where_a_look_up_failed_a_wrong_clock_may_be_why_and_before_that_nobody_is_asked() -> None:
    before, after = standing(a=Starting(0)), replace(standing(a=Starting(0)), faults={"lookup": "no resolver answers"})
    assert [plan(household(NAMED), state, LEASES).clock.direct for state in (before, after)] == [False, True]
    assert plan(household(NAMED), after, LEASES).launches == ()


def wireguard(health: Health, doubted: bool) -> Plan:
    settings = replace(household(), transports={"a": Entry("a", wg_quick(WG))})
    return plan(settings, replace(standing(a=health), doubted=doubted), LEASES)


def test_wireguard_waits_for_the_date_where_the_clock_may_be_in_the_future() -> None:
    waiting = wireguard(Starting(0), doubted=True)
    assert waiting.launches == ()
    assert waiting.clock.ways == (UPSTREAM_SLOT,)
    for health, doubted in ((Starting(0), False), (RETRIED, True), (Up(0, 50), True)):
        assert len(wireguard(health, doubted).launches) == 1


def test_who_marks_nothing_is_routed_and_marked_by_user_and_goes_to_his_bridge_alone() -> None:
    tor = parse(f"192.0.2.5:9001 {'AB' * 20}").transport
    settings = replace(household(ONE), transports={"a": Entry("a", tor), "b": household(ONE).transports["a"]})
    found = plan(settings, standing("a", a=Up(0, 50), b=Up(0, 50)), LEASES)
    launch = found.launches[0]
    user = f"meta skuid {ENGINES + launch.slot} "
    assert [rule.uid for rule in found.rules if rule.uid is not None] == [ENGINES + launch.slot] * 2
    assert found.policy.count(user) == 1
    assert "ip daddr 192.0.2.5 tcp dport 9001" in found.policy
    assert "9.9.9.9" not in found.policy


def test_who_finds_his_own_servers_may_go_anywhere_outside_and_ask_by_doh() -> None:
    meek = parse("meek_lite 192.0.2.20:80 url=https://m.example:8443/").transport
    found = plan(replace(household(ONE), transports={"a": Entry("a", meek)}), standing(a=Starting(0)), LEASES)
    user = f"meta skuid {ENGINES + found.launches[0].slot} "
    assert f"{user}ip daddr != {{ 0.0.0.0/8" in found.policy
    assert "tcp dport 8443 meta mark" in found.policy
    assert f"{user}meta l4proto {{ tcp, udp }} th dport 53 dnat ip to 127.0.0.1:" in found.policy
    assert "ip daddr 9.9.9.9 tcp dport 443" in found.policy
def test_a_node_whose_name_leads_into_a_home_is_not_launched_and_a_transport_of_the_owners_is() -> None:
    base = household(NAMED)
    entry = replace(base.transports["a"], group="sub")
    home, away = ip_address("192.168.77.20"), ip_address("203.0.113.5")
    for group, addresses, launched in (("sub", (home,), 0), ("", (home,), 1), ("sub", (home, away), 1)):
        settings = replace(base, transports={"a": replace(entry, group=group)})
        state = replace(standing(a=Starting(0)), addresses={"server.example": addresses})
        found = plan(settings, state, LEASES).launches
        assert len(found) == launched, (group, addresses)
        assert all(upstream.address == addresses[-1] for launch in found for upstream in launch.upstreams)


def test_the_resolver_has_a_door_for_each_node_that_may_run_so_that_no_new_one_restarts_it() -> None:
    settings = replace(household(ONE), subscriptions={"sub": Subscription("sub", "https://panel.example/")})
    before, after = (plan(settings, replace(standing(a=Up(0, 50)), slots=slots), LEASES) for slots in ({"a": 1}, {"a": 1, "sub/x": 95}))
    assert before.services == after.services
