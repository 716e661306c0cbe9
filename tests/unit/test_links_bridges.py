"""Tor bridge lines, as people get them from a bot, a mail, a friend; and the tor:// links that we write ourselves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.links import WRITERS, LinkError, parse
from routerd.links.bridges import ARGUMENTS, LONGEST_ARGUMENTS
from routerd.links.bridges import bridge as read
from routerd.transports.tor import Bridge, Tor

FP = "0123456789ABCDEF0123456789ABCDEF01234567"
CERT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMw"
OBFS4 = f"obfs4 192.0.2.1:443 {FP} cert={CERT} iat-mode=0"
MEEK = "meek_lite 192.0.2.20:80 url=https://m.example/ front=f.example"
WEBTUNNEL = f"webtunnel [2001:db8::1]:443 {FP} url=https://w.example/x/y ver=0.0.1"
SNOWFLAKE = f"snowflake 192.0.2.3:80 {FP} fingerprint={FP} url=https://b.example/ ice=stun:s.example:3478"


def bridges(text: str) -> tuple[Bridge, ...]:
    found = parse(text).transport
    assert isinstance(found, Tor)
    return found.bridges


@pytest.mark.parametrize(
    ("line", "bridge"),
    [
        (OBFS4, Bridge("obfs4", "192.0.2.1", 443, FP, (("cert", CERT), ("iat-mode", "0")))),
        (f"  Bridge   {OBFS4} ", Bridge("obfs4", "192.0.2.1", 443, FP, (("cert", CERT), ("iat-mode", "0")))),
        (f"BRIDGE OBFS4 192.0.2.1:443 {FP} cert={CERT}== iat-mode=2",
         Bridge("obfs4", "192.0.2.1", 443, FP, (("cert", CERT), ("iat-mode", "2")))),
        ("Bridge 192.0.2.1:443", Bridge("", "192.0.2.1", 443)),
        (f"[2001:DB8::1]:443 ${FP.lower()}", Bridge("", "2001:db8::1", 443, FP)),
        (MEEK, Bridge("meek_lite", "192.0.2.20", 80, "", (("url", "https://m.example/"), ("front", "f.example")))),
        (WEBTUNNEL, Bridge("webtunnel", "2001:db8::1", 443, FP, (("url", "https://w.example/x/y"), ("ver", "0.0.1")))),
        (f"{WEBTUNNEL} addr=198.51.100.9:8443 servername=a.example,B.example sni-imitation=c.example utls=hellochrome_auto",
         Bridge("webtunnel", "2001:db8::1", 443, FP,
                (("url", "https://w.example/x/y"), ("ver", "0.0.1"), ("addr", "198.51.100.9:8443"),
                 ("servername", "a.example,b.example"), ("sni-imitation", "c.example"), ("utls", "hellochrome_auto")))),
        (SNOWFLAKE, Bridge("snowflake", "192.0.2.3", 80, FP,
                           (("fingerprint", FP), ("url", "https://b.example/"), ("ice", "stun:s.example:3478")))),
    ],
)  # fmt: skip
def test_a_bridge_line_is_read(line: str, bridge: Bridge) -> None:
    assert bridges(line) == (bridge,)
    assert read(bridge.line) == bridge


def test_an_address_alone_is_not_taken_for_a_bridge() -> None:
    """It may be an open proxy of a list."""
    with pytest.raises(LinkError, match="not a share link"):
        parse("192.0.2.1:443")


def test_many_lines_at_once_are_one_transport_with_each_bridge_once() -> None:
    assert bridges(f"{OBFS4}\r\n\n{MEEK}\n{OBFS4}\n") == (*bridges(OBFS4), *bridges(MEEK))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"conjure 192.0.2.1:443 {FP} url=https://c.example/", "not known here"),
        (f"obfs3 192.0.2.1:443 {FP}", "not known here"),
        (f"webtunnel [2001:db8::1]:443 {FP} ver=0.0.1", "url is missing"),
        (WEBTUNNEL.replace("https://", "http://"), "https://"),
        (f"{WEBTUNNEL} addr=w.example:443", "IP:port"),
        (f"{WEBTUNNEL} addr=198.51.100.9", "IP:port"),
        (f"{WEBTUNNEL} servername=a;b", "host name"),
        (f"{WEBTUNNEL} exec=/bin/sh", "unknown"),
        (f"obfs4 192.0.2.1:443 {FP} cert={CERT}", "iat-mode is missing"),
        (f"obfs4 192.0.2.1:443 cert={CERT} iat-mode=0", "fingerprint"),
        (f"obfs4 192.0.2.1:443 {FP[:-1]} cert={CERT} iat-mode=0", "unknown"),
        (f"obfs4 192.0.2.1:443 {FP} cert={CERT[:-4]} iat-mode=0", "52 bytes"),
        (f"obfs4 192.0.2.1:443 {FP} cert={CERT} iat-mode=9", "iat-mode"),
        (f"obfs4 192.0.2.1:443 {FP} cert={CERT} cert={CERT} iat-mode=0", "twice"),
        (f"obfs4 192.0.2.1:443 {FP} cert={CERT} iat-mode=0 exec=/bin/sh", "unknown"),
        (f"obfs4 192.0.2.1:99999 {FP} cert={CERT} iat-mode=0", "port"),
        (f"obfs4 0.0.0.0:443 {FP} cert={CERT} iat-mode=0", "no single machine"),
        (f"192.0.2.1:443 {FP} key=value", "nothing more"),
        (MEEK.replace("https://m.example/", "http://m.example/"), "https://"),
        (MEEK.replace("https://m.example/", "https://u@m.example/"), "https://"),
        (MEEK.replace("f.example", "f.example;x"), "host name"),
        (MEEK + " utls=a%20b", "characters"),
        (SNOWFLAKE.replace("stun:", "turn:"), "stun:HOST:PORT"),
        (SNOWFLAKE.partition(" ice=")[0], "ice is missing"),
        (SNOWFLAKE + " fronts=" + ",".join(f"host-{n}.example" for n in range(60)), str(LONGEST_ARGUMENTS)),
        ("\n".join(f"Bridge 192.0.2.1:{port}" for port in range(1, 40)), "too many"),
        (f"tor://{OBFS4},obfs4".replace(" ", "%20"), "IP:port"),
        ("tor://%ff", "UTF-8"),
    ],
)  # fmt: skip
def test_a_bridge_line_is_refused_with_its_reason(line: str, reason: str) -> None:
    with pytest.raises(LinkError) as caught:
        parse(line)
    assert reason in caught.value.reason


def test_tor_without_bridges_has_a_link_too() -> None:
    assert (parse("tor://").name, parse("tor://").transport) == ("Tor", Tor())
    assert parse("tor://#%D0%AF").name == "Я"


hosts = st.from_regex(r"[a-z]{1,8}\.example", fullmatch=True)
values = {
    "cert": st.just(CERT), "iat-mode": st.sampled_from("012"), "node-id": st.just(FP.lower()), "public-key": st.just("ab" * 32),
    "url": hosts.map("https://{}/a".format), "ampcache": hosts.map("https://{}/".format), "front": hosts,
    "fronts": st.lists(hosts, min_size=1, max_size=3).map(",".join), "utls": st.just("x-1"), "utls-imitate": st.just("y"),
    "fingerprint": st.just(FP), "ice": hosts.map("stun:{}:1".format), "max": st.sampled_from("19"), "utls-nosni": st.just("true"),
    "ver": st.just("0.0.1"), "addr": st.sampled_from(["192.0.2.9:1", "[2001:db8::9]:65535"]), "servername": hosts,
    "sni-imitation": hosts,
}  # fmt: skip


@st.composite
def lines(draw: st.DrawFn) -> str:
    by = draw(st.sampled_from(list(ARGUMENTS)))
    place = draw(st.sampled_from(["192.0.2.1", "[2001:db8::5]"])) + f":{draw(st.integers(1, 65535))}"
    return " ".join(filter(None, (by, place, FP, *(f"{key}={draw(values[key])}" for key in ARGUMENTS[by]))))


@settings(max_examples=100, deadline=None)
@given(st.lists(lines(), max_size=6), st.sampled_from(["", "Tor 🧅", "a#b, c%20d"]))
def test_export_and_import_are_inverse(lines: list[str], name: str) -> None:
    transport = parse("\n".join(lines)).transport if lines else Tor()
    back = parse(WRITERS["tor"](name, transport))
    assert (back.transport, back.name) == (transport, name or "Tor")
