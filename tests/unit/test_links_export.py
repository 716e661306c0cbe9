"""A link that was written says what was read: `parse(export(x)) == x`, for every kind and for names of any script."""

from __future__ import annotations

from base64 import b64decode, b64encode
from ipaddress import ip_interface
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.links import WRITERS, Named, export, parse, wall
from routerd.links.amneziawg import CHECKS
from routerd.transports import KINDS
from routerd.transports.amneziawg import AmneziaWg, disguised
from routerd.transports.hysteria2 import OBFUSCATIONS, Hysteria2
from routerd.transports.shadowsocks import METHODS, METHODS_2022, Shadowsocks
from routerd.transports.trojan import Trojan
from routerd.transports.vless import FLOWS, Vless
from routerd.transports.vmess import CIPHERS, UNENCRYPTED, Vmess
from routerd.transports.wireguard import WireGuard
from routerd.transports.xray import Grpc, HttpUpgrade, Reality, Tls, WebSocket, Xhttp
from routerd.links.stream import ALPN, FINGERPRINTS, XHTTP_MODES

GOLDEN = Path(__file__).parents[1] / "golden" / "engines"
SOURCES = sorted(GOLDEN.glob("*/link.txt")) + sorted(GOLDEN.glob("*/wg.conf"))

label = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?\Z")
hosts = st.one_of(
    st.builds(lambda labels: ".".join([*labels, "example"]), st.lists(label, max_size=3)),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
).filter(lambda host: accepted(host))  # no multicast address, no unspecified one
ports = st.integers(1, 65535)
seen = st.characters().filter(lambda char: not wall.invisible(char))
secrets = st.text(seen, min_size=1, max_size=40)
names = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["🇮🇷 تهران ۱", "100% fast #1", "%41%", "Москва & co", "香港 | 01", "a+b=c?d/e@f:g", "👩‍👩‍👧", '"\\']),
)
keys = st.binary(min_size=32, max_size=32).map(lambda raw: b64encode(raw).decode())
url_keys = keys.map(lambda key: key.replace("+", "-").replace("/", "_").rstrip("="))
uuids = st.uuids().map(str)
paths = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30).map(lambda tail: "/" + tail)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)


def accepted(host: str) -> bool:
    try:
        return wall.host(host) == host
    except wall.LinkError:
        return False


def few(items: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(items, max_size=3).map(tuple)


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


tls = st.builds(
    Tls, hosts, st.sampled_from(FINGERPRINTS), few(st.sampled_from(ALPN)), few(digests), few(hosts.filter(lambda h: ":" not in h))
)
reality = st.builds(
    Reality, hosts, url_keys, st.binary(max_size=8).map(bytes.hex), paths, st.sampled_from(FINGERPRINTS), st.just("")
)
header = st.one_of(hosts.map(bracketed), st.builds(lambda h, p: f"{h}:{p}", hosts.filter(lambda h: ":" not in h), ports))
websocket = st.builds(WebSocket, paths, header) | st.builds(HttpUpgrade, paths, header)
grpc = st.builds(Grpc, st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20), st.just("") | header, st.booleans())
networks = st.none() | websocket | grpc | st.builds(Xhttp, paths, header, st.sampled_from(XHTTP_MODES))
rides = st.tuples(tls | reality, networks).filter(
    lambda ride: not (isinstance(ride[0], Reality) and isinstance(ride[1], WebSocket | HttpUpgrade))
)
ranges = st.tuples(ports, ports).map(lambda pair: (min(pair), max(pair)))


@st.composite
def shadowsocks(draw: st.DrawFn) -> Shadowsocks:
    method = draw(st.sampled_from([*METHODS, *METHODS_2022]))
    password = draw(secrets)
    if size := METHODS_2022.get(method):
        parts = draw(st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=3))
        password = ":".join(b64encode(part).decode() for part in parts)
    return Shadowsocks(draw(hosts), draw(ports), method, password, *draw(plugins))


plugins = st.sampled_from([("", ""), ("obfs-local", "obfs=http"), ("obfs-local", "obfs=tls;obfs-host=c.example"),
                           ("v2ray-plugin", r"tls;mode=websocket;host=c.example;path=/a\;b;mux=0")])  # fmt: skip


@st.composite
def hysteria2(draw: st.DrawFn) -> Hysteria2:
    hops = tuple(draw(st.lists(ranges, max_size=5)))
    if len(hops) == 1 and hops[0][0] == hops[0][1]:
        hops = ()
    pin = draw(st.just("") | st.text("0123456789abcdef", min_size=64, max_size=64))
    obfs = draw(st.sampled_from(["", *(OBFUSCATIONS[:1] if pin else OBFUSCATIONS)]))
    password = draw(st.just("") | secrets)
    port = hops[0][0] if hops else draw(ports)
    return Hysteria2(draw(hosts), port, draw(hosts), password, hops, obfs, draw(secrets) if obfs else "", pin)


@st.composite
def vless(draw: st.DrawFn) -> Vless:
    security, network = draw(rides)
    flow = draw(st.sampled_from(FLOWS)) if network is None else ""
    return Vless(draw(hosts), draw(ports), draw(uuids), security, network, flow)


@st.composite
def vless_encrypted(draw: st.DrawFn) -> Vless:
    encryption = "mlkem768x25519plus.native.0rtt." + draw(url_keys)
    return Vless(draw(hosts), draw(ports), draw(uuids), None, draw(networks), "", encryption)


@st.composite
def vmess(draw: st.DrawFn) -> Vmess:
    security, network = draw(rides | st.tuples(st.none(), networks))
    ciphers = [cipher for cipher in CIPHERS if security or cipher not in UNENCRYPTED]
    return Vmess(draw(hosts), draw(ports), draw(uuids), draw(st.sampled_from(ciphers)), security, network)


interfaces = (st.ip_addresses(v=4) | st.ip_addresses(v=6)).flatmap(
    lambda ip: st.integers(0, ip.max_prefixlen).map(lambda length: ip_interface(f"{ip}/{length}"))
)
wireguard = st.builds(
    WireGuard,
    hosts,
    ports,
    keys,
    keys,
    st.lists(interfaces, min_size=1, max_size=3).map(tuple),
    st.just("") | keys,
    st.integers(1280, 1500),
    st.integers(0, 65535),
)
counts = st.integers(1, 128).map(str)
spans = st.tuples(st.integers(1, 2000), st.integers(1, 50)).map(lambda one: f"{one[0]}-{one[0] + one[1]}")
tags = st.sampled_from(["<b 0xc3ff>", "<r 16>", "<rc 5>", "<rd 9>", "<t>", "<c>"])
TERMS: dict[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(("Jc", "Jmin"), counts),
    "Jmax": st.integers(128, 900).map(str),
    **dict.fromkeys(("S1", "S2", "S3", "S4"), st.integers(12, 140).map(str)),
    "H1": st.integers(5, 9).map(str),
    "H4": spans.map(lambda span: "-".join(str(int(end) + 10) for end in span.split("-"))),
    **dict.fromkeys(("I1", "I5"), st.lists(tags, min_size=1, max_size=6).map("".join)),
    "HeaderProtectionKey": keys,
    "RekeyAfterTime": spans,
    "RandomTrailers": st.just("on"),
}
NEED = {"Jmin": {"Jc", "Jmax"}, "Jmax": {"Jc"}, "HeaderProtectionKey": {"S1", "S2", "S3", "S4"}}


@st.composite
def amneziawg(draw: st.DrawFn) -> AmneziaWg:
    chosen = draw(st.sets(st.sampled_from(list(TERMS)), min_size=1))
    chosen = chosen.union(*(NEED.get(name, set()) for name in chosen))
    found = {name: draw(TERMS[name]) for name in CHECKS if name in chosen}
    return disguised(draw(wireguard), tuple(found.items()))


transports = {
    "shadowsocks": shadowsocks(),
    "hysteria2": hysteria2(),
    "vless": vless() | vless_encrypted(),
    "vmess": vmess(),
    "trojan": st.builds(lambda *found: Trojan(*found[:3], *found[3]), hosts, ports, secrets, rides),
    "wireguard": wireguard,
    "amneziawg": amneziawg(),
}


@settings(max_examples=400, deadline=None)
@given(names, st.one_of(*transports.values()))
def test_what_was_exported_is_imported_as_it_was(name: str, transport: object) -> None:
    named = Named(wall.name(name) or transport.server, transport)
    link = export(named)
    assert parse(link) == named
    assert link.isprintable() and link.isascii()


def test_every_kind_has_a_writer() -> None:
    assert set(WRITERS) == set(KINDS)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.parent.name)
def test_a_link_that_was_read_is_written_as_one_that_means_the_same(source: Path) -> None:
    named = parse(source.read_text().strip())
    assert parse(export(named)) == named


def test_vmess_is_written_in_the_form_that_every_client_reads() -> None:
    link = export(parse((GOLDEN / "vmess-ws-tls" / "link.txt").read_text().strip()))
    assert b64decode(link.removeprefix("vmess://")).startswith(b'{"v": "2", "ps": "json ws"')
