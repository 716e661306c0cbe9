"""One transport inside another: which pairs are refused and why, whose mark its packets carry, what is left of it in there."""

import json
from datetime import UTC, datetime
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from routerd.model import UPSTREAM_SLOT, Down, Link, Starting, State, Tproxy, Up, beneath, mark
from routerd.plan import plan
from routerd.settings import Settings, parse_settings
from routerd.table import SettingsError
from routerd.status import Beside, status

BASE = '[wan]\ninterface = "eth0"\n[lan]\ninterface = "br-lan"\naddress = "192.168.77.1/24"\n'
WG = """[Interface]
PrivateKey = AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
Address = 10.9.0.2/32, fd09::2/128
MTU = {mtu}
[Peer]
PublicKey = AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
Endpoint = 192.0.2.3:51820
"""
TOR = "tor://192.0.2.5:9001"
TROJAN, SS = "trojan://x@192.0.2.1:443?sni=a.example", "ss://YWVzLTI1Ni1nY206eA@192.0.2.2:8388"
VISION = "vless://4b0a3c9e-6b0a-4b0a-8b0a-6b0a4b0a8b0a@192.0.2.4:443?security=tls&sni=a.example&flow=xtls-rprx-vision"
LEASES = "/run/clearway/leases/dnsmasq.leases"


def settings(*entries: tuple[str, str, str]) -> Settings:
    """Name, link or wg-quick text, via."""
    text = BASE
    for name, link, via in entries:
        key = "uri" if "://" in link else "config"
        text += f'[[transport]]\nname = "{name}"\n{key} = """{link}"""\n' + (f'via = "{via}"\n' if via else "")
    return parse_settings(text, lambda path: "")


def standing(chosen: Settings) -> State:
    names = list(chosen.transports)
    return State({n: Up(0, 50) for n in names}, {n: i + 1 for i, n in enumerate(names)}, active=names[0])


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([("a", TROJAN, "b")], "transport[0].via: 'b': there is no transport of that name"),
        ([("a", TROJAN, "a")], "transport[0].via: 'a': that goes round in a circle"),
        ([("a", TROJAN, "b"), ("b", SS, "c"), ("c", SS, "b")], "transport[0].via: 'b': that goes round in a circle"),
        (
            [("a", TROJAN, "b"), ("b", SS, "c"), ("c", SS, "d"), ("d", SS, "")],
            "transport[0].via: 'b': 4 transports inside each other; at most 3 may be",
        ),
        (
            [("a", "hysteria2://x@192.0.2.1:443/?sni=a.example", "b"), ("b", VISION, "")],
            "transport[0].via: 'b': it carries no UDP to port 443, which hysteria2 needs here",
        ),
    ],
    ids=["unknown", "itself", "a circle", "too deep", "no QUIC"],
)
def test_what_makes_no_sense_is_refused_with_its_reason(entries: list[tuple[str, str, str]], why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(*entries)
    assert str(caught.value) == why


def test_what_needs_udp_is_refused_inside_what_carries_none() -> None:
    http = "http://192.0.2.9:8080"
    with pytest.raises(SettingsError, match="via: 'b': it carries no UDP, which wireguard needs"):
        settings(("a", WG.format(mtu=1420), "b"), ("b", http, ""))
    found = settings(("a", SS, "b"), ("b", http, ""))
    (inner, _) = (launch.exit for launch in plan(found, standing(found), LEASES).launches)
    assert isinstance(inner, Tproxy)
    assert not inner.udp


def test_tor_travels_inside_nothing_and_others_inside_it() -> None:
    with pytest.raises(SettingsError, match="tor cannot be told another way"):
        settings(("a", TOR, "b"), ("b", TROJAN, ""))
    with pytest.raises(SettingsError, match="via: 'b': it carries no UDP, which wireguard needs"):
        settings(("a", WG.format(mtu=1420), "b"), ("b", TOR, ""))
    assert settings(("a", SS, "b"), ("b", TOR, "")).via == {"a": "b"}


def test_three_inside_each_other_are_carried() -> None:
    found = settings(("a", TROJAN, "b"), ("b", SS, "c"), ("c", WG.format(mtu=1420), ""))
    assert beneath(found.via, "a") == ("b", "c")
    launches = {launch.name: launch for launch in plan(found, standing(found), LEASES).launches}
    assert [launches[n].via for n in "abc"] == [2, 3, UPSTREAM_SLOT]
    sockets = json.loads(launches["a"].stdin)["outbounds"][0]["streamSettings"]["sockopt"]
    assert sockets["mark"] == mark(2)


def test_in_clear_goes_the_outermost_one_alone() -> None:
    found = settings(("a", TROJAN, "b"), ("b", SS, ""))
    (to_wan,) = [chain for chain in plan(found, standing(found), LEASES).policy.split("  chain ") if chain.startswith("box_to_wan ")]
    assert "192.0.2.2" in to_wan
    assert "192.0.2.1 " not in to_wan


@pytest.mark.parametrize(("outer", "mtu", "fits"), [(SS, 1420, 1280), (WG.format(mtu=1420), 1420, 1340), (WG.format(mtu=1280), 1420, 1280), (WG.format(mtu=1420), 1300, 1300)])
def test_a_tunnel_is_made_to_fit_what_it_travels_inside(outer: str, mtu: int, fits: int) -> None:
    found = settings(("a", WG.format(mtu=mtu), "b"), ("b", outer, ""))
    inner = next(launch for launch in plan(found, standing(found), LEASES).launches if launch.name == "a")
    assert isinstance(inner.exit, Link)
    assert inner.exit.mtu == fits


def test_what_amneziawg_puts_ahead_of_each_packet_has_room_in_what_it_travels_inside() -> None:
    found = settings(("a", WG.format(mtu="1420\nS4 = 20"), "b"), ("b", WG.format(mtu=1420), ""))
    inner = next(launch for launch in plan(found, standing(found), LEASES).launches if launch.name == "a")
    assert isinstance(inner.exit, Link)
    assert inner.exit.mtu == 1320


def test_a_tunnel_over_tcp_has_long_segments_but_not_at_a_try_after_one_that_failed() -> None:
    file = (Path(__file__).parents[1] / "golden" / "engines" / "openvpn-login" / "client.ovpn").read_text().replace("\\", "")
    found = settings(("a", file, ""), ("b", TROJAN, ""))

    def held(health: Starting | Up) -> list[str]:
        """Whose packets pass the rule that makes segments short, on their way to the WAN and back."""
        state = replace(standing(found), health={"a": health, "b": Up(0, 50)})
        rooms = [room for room in plan(found, state, LEASES).policy.split("  chain ") if room.startswith(("box_to_wan ", "answered "))]
        behind = [room.partition("maxseg size set 1220")[2] for room in rooms]
        return [name for name, server in (("a", "2001:db8::7"), ("b", "192.0.2.1 ")) if all(server in room for room in behind)]

    assert held(Starting(0)) == held(Up(0, 50)) == ["b"]
    assert held(Starting(0, failures=1)) == ["a", "b"]


def test_what_the_outer_one_does_not_carry_now_the_inner_one_does_not_either() -> None:
    found = settings(("a", SS, "b"), ("b", TROJAN, ""))
    state = standing(found)
    lost = replace(state, health={**state.health, "b": Up(0, 50, lost=(("udp", 2),))})
    udp = [[x.exit.udp for x in plan(found, s, LEASES).launches if isinstance(x.exit, Tproxy)] for s in (state, lost)]
    assert udp == [[True, True], [False, False]]


def test_the_name_of_its_server_is_asked_for_the_way_its_packets_go() -> None:
    found = settings(("a", "trojan://x@inner.example:443", "b"), ("b", SS, ""))
    state = standing(found)
    asked = plan(found, replace(state, health={"a": Starting(0), "b": Up(0, 50)}), LEASES)
    assert asked.lookups == (("inner.example", 2),)
    assert "9.9.9.9" not in asked.policy
    known = replace(state, addresses={"inner.example": (ip_address("192.0.2.9"),)})
    assert [launch.name for launch in plan(found, known, LEASES).launches] == ["a", "b"]


def test_nothing_runs_without_what_it_travels_inside() -> None:
    found = settings(("a", TROJAN, "b"), ("b", SS, ""))
    state = replace(standing(found), health={"a": Up(0, 50), "b": Down(9, 1, "blocked")})
    assert plan(found, state, LEASES).launches == ()


def test_while_an_inner_one_is_in_question_the_outer_one_has_to_show_itself() -> None:
    found = settings(("a", TROJAN, "b"), ("b", SS, ""))
    calm, doubted = standing(found), replace(standing(found), health={"a": Up(0, 50, points=2), "b": Up(0, 50)})
    every = [{p.name: p.interval for p in plan(found, s, LEASES).probes}["b"] for s in (calm, doubted)]
    assert every == [240.0, 1.0]


def test_status_says_what_an_inner_one_waits_for() -> None:
    found = settings(("a", TROJAN, "b"), ("b", SS, ""))
    state = replace(standing(found), health={"b": Down(9, 1, "blocked")}, active=None)
    shown = status(found, state, Beside(datetime.now(UTC)), "1").transports
    assert [(t.state, t.last_error) for t in shown] == [("down", "it travels inside b, which does not run"), ("down", None)]
