"""Lists that somebody else writes: what is taken of them, what it is called, and what is never taken."""

import gzip
import zlib
from base64 import b64encode
from dataclasses import replace
from ipaddress import IPv4Interface, ip_address

import pytest
from hypothesis import given, strategies as st

from routerd.ladder import wanted
from routerd.model import Differences, State
from routerd.probe.https import ProbeError
from routerd.probe.lists import DECODED, decoded
from routerd.settings import Entry, Settings, Subscription
from routerd.subscriptions import (
    LONGEST,
    MOST_NODES,
    Facts,
    Refusal,
    changed,
    differences,
    facts,
    is_outside,
    is_public,
    merged,
    named,
    read,
)

HOME = Settings("eth0", "br-lan", IPv4Interface("192.168.77.1/24"), subscriptions={"P": Subscription("P", "https://p.example/")})


def link(host: str = "203.0.113.1", name: str = "x", port: int = 443) -> str:
    return f"trojan://secret@{host}:{port}?sni=a.example#{name}"


def listed(*links: str) -> dict[str, str]:
    """Name -> server, as a subscription P would call them."""
    nodes = read("\n".join(links)).nodes
    return {name: f"{node.server}:{node.port}" for name, node in named("P", nodes, {}).items()}


def test_a_list_is_read_in_plain_and_in_base64() -> None:
    text = "\n".join([link("203.0.113.1", "a"), link("203.0.113.2", "b"), "nonsense"])
    for given_ in (text, b64encode(text.encode()).decode()):
        found = read(given_)
        assert ([node.name for node in found.nodes], found.rejected) == (["a", "b"], 1)


def test_a_node_is_what_it_is_not_what_it_is_called() -> None:
    assert listed(link(name="a"), link(name="b"), link(name="a", port=8443)) == {
        "P/a": "203.0.113.1:443",
        "P/a 2": "203.0.113.1:8443",
    }


@pytest.mark.parametrize(
    "text",
    ["", "   \n", "<!DOCTYPE html><html>", "\n <html><body>" + link(), "<?xml version='1.0'?>", "no list at all", "[]", "{}"]
    + ["x" * (LONGEST + 1), "\0\1\2" * 100, "[" * 100_000, "- &a [*a, *a]\n" * 1000],
)
def test_fault_62_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(text)
    assert "secret" not in str(caught.value)


def test_fault_62_nested_base64_is_no_list() -> None:
    data = link().encode()
    for _ in range(20):  # fifty would be larger than any list may be
        data = b64encode(data)
    with pytest.raises(Refusal):
        read(data.decode())


def test_fault_62_no_more_nodes_are_taken_than_500() -> None:
    found = read("\n".join(link(port=port) for port in range(1, 701)))
    assert len(found.nodes) == MOST_NODES


@given(st.text(max_size=300))
def test_fault_62_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert read(text).nodes
    except Refusal as e:
        assert str(e)


def test_fault_62_what_inflates_without_end_is_given_up() -> None:
    bomb = gzip.compress(b"\0" * (DECODED * 10))
    with pytest.raises(ProbeError, match="larger"):
        decoded(bomb, "gzip")
    with pytest.raises(ProbeError, match="whole"):
        decoded(gzip.compress(b"x" * 5000)[:-10], "gzip")
    with pytest.raises(ProbeError):
        decoded(b"not gzip", "gzip")
    with pytest.raises(ProbeError):
        decoded(b"x", "br")
    assert decoded(gzip.compress(b"list"), "gzip") == decoded(zlib.compress(b"list"), "deflate") == decoded(b"list", "") == "list"
    assert decoded(b"\xef\xbb\xbf\xffa", "identity").endswith("a")


@pytest.mark.parametrize(
    "host",
    ["192.168.1.1", "10.0.0.1", "127.0.0.1", "0.0.0.0", "169.254.169.254", "172.16.0.1", "100.64.0.1", "224.0.0.1", "255.255.255.255"]
    + ["::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001:0:1::"]
    + ["localhost", "router", "router.lan", "a.localhost", "printer.local", "x.internal", "2130706433", "0x7f.1", "0177.0.0.1", "x.home."],
)
def test_fault_63_what_lies_in_a_home_is_not_outside(host: str) -> None:
    assert not is_outside(host)


@pytest.mark.parametrize("host", ["203.0.113.7", "9.9.9.9", "2001:db8::1", "2606:4700::1", "panel.example", "a.b.example."])
def test_what_may_be_on_the_internet_is_outside(host: str) -> None:
    assert is_outside(host)


def test_fault_63_a_name_that_leads_home_leads_nowhere() -> None:
    assert not is_public(ip_address("192.168.77.1"))
    assert not is_public(ip_address("::ffff:192.168.77.1"))


def test_fault_66_nodes_that_point_into_a_home_and_what_is_no_node_are_left_out() -> None:
    found = read("\n".join([link("192.168.77.1"), link("localhost"), "external-controller: 0.0.0.0:9090", link("203.0.113.9")]))
    assert ([node.transport.server for node in found.nodes], found.rejected) == (["203.0.113.9"], 3)


def test_a_node_that_encrypts_nothing_is_left_out() -> None:
    found = read("\n".join(["socks5://203.0.113.1:1080", "http://203.0.113.2:8080", link("203.0.113.9")]))
    assert ([node.transport.server for node in found.nodes], found.rejected) == (["203.0.113.9"], 2)


def test_a_clash_document_gives_its_nodes_and_nothing_else() -> None:
    text = """
external-controller: 0.0.0.0:9090
secret: x
dns: {enable: true, listen: 0.0.0.0:53}
rules: [MATCH,DIRECT]
proxies:
  - {name: a, type: trojan, server: 203.0.113.1, port: 443, password: p, sni: a.example}
  - {name: home, type: trojan, server: 127.0.0.1, port: 9090, password: p, sni: a.example}
  - {name: "Days left: 3", type: trojan, server: 203.0.113.2, port: 443, password: p, sni: a.example}
"""
    found = read(text)
    assert [(node.name, node.transport.server) for node in found.nodes] == [("a", "203.0.113.1")]


def test_a_node_keeps_its_name_while_the_provider_calls_it_otherwise() -> None:
    before = named("P", read(link(name="Berlin")).nodes, {})
    after = named("P", read("\n".join([link("203.0.113.2", "Berlin"), link(name="Paris")])).nodes, before)
    assert {name: node.server for name, node in after.items()} == {"P/Berlin 2": "203.0.113.2", "P/Berlin": "203.0.113.1"}
    assert differences(before, after) == Differences(added=("P/Berlin 2",))


def test_differences_are_of_what_nodes_are() -> None:
    before = named("P", read("\n".join([link("203.0.113.1", "a"), link("203.0.113.2", "b")])).nodes, {})
    after = named("P", read("\n".join([link("203.0.113.3", "a"), link("203.0.113.4", "c")])).nodes, before)
    assert differences(before, after) == Differences(added=("P/c",), removed=("P/b",), changed=("P/a",))
    assert differences(before, before) == Differences()


def test_long_and_equal_names_stay_names() -> None:
    nodes = read("\n".join(link(f"203.0.113.{i}", "n" * 64) for i in range(1, 120))).nodes
    names = named("P" * 60, nodes, {})
    assert len(names) == 119
    assert max(map(len, names)) <= 64


def test_the_nodes_stand_behind_the_transports_and_those_of_one_server_apart() -> None:
    nodes = named("P", read("\n".join([link(port=1), link(port=2), link("203.0.113.2", port=1)])).nodes, {})
    found = merged(HOME, {"P": nodes})
    assert [(e.group, e.transport.server, e.transport.port) for e in found.enabled] == [
        ("P", "203.0.113.1", 1),
        ("P", "203.0.113.2", 1),
        ("P", "203.0.113.1", 2),
    ]
    off = replace(HOME, subscriptions={"P": replace(HOME.subscriptions["P"], enabled=False)})
    assert merged(off, {"P": nodes}).enabled == ()


def test_a_name_that_belongs_to_another_node_now_is_told() -> None:
    one, two = (merged(HOME, {"P": named("P", read(link(host, "a")).nodes, {})}) for host in ("203.0.113.1", "203.0.113.2"))
    assert changed(one, two) == {"P/a"}
    assert changed(one, one) == changed(None, one) == frozenset()


def test_what_the_provider_says_of_the_account_is_read() -> None:
    headers = {
        "subscription-userinfo": "upload=1; download=2.5;total=10; expire=4102444800",
        "profile-title": "base64:8J+MjSBBdW50J3M=",
        "profile-update-interval": "6",
    }
    assert facts(headers) == Facts("🌍 Aunt's", 3, 10, 4102444800, 6)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"subscription-userinfo": "upload=; download=x; total=-1; expire=1e9;;=;a"},
        {"profile-title": "base64:!!", "profile-update-interval": "0"},
        {"profile-title": "\x00\u202e", "profile-update-interval": "soon"},
    ],
)
def test_what_makes_no_sense_in_a_header_is_left_out(headers: dict[str, str]) -> None:
    assert facts(headers) == Facts()


def test_a_number_that_is_too_large_is_cut() -> None:
    assert (facts({"profile-update-interval": "9" * 19}).hours or 0) <= 24 * 366
    assert (facts({"subscription-userinfo": f"total={'9' * 19}"}).total or 0) <= 1 << 62


def test_what_everybody_has_comes_after_the_nodes() -> None:
    own = merged(HOME, {"P": named("P", read(link()).nodes, {})})
    known = replace(own, transports={"Tor": Entry("Tor", next(iter(own.transports.values())).transport)}, own_ladder=True)
    both = merged(known, {"P": named("P", read(link("203.0.113.2")).nodes, {})})
    assert list(both.transports) == ["P/x", "Tor"]
    assert wanted(replace(both, standby=0), State(), 0.0) == ["P/x"]
