"""Links of the kinds that sing-box carries, and of Xray's networks: what is read, what is refused, and written again."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.links import WRITERS, LinkError, Named, parse
from routerd.links.bulk import read_all
from routerd.links.stream import network, network_query
from routerd.links.xhttp import judged
from routerd.transports import Transport
from routerd.transports.anytls import AnyTls
from routerd.transports.http import Http
from routerd.transports.hysteria import Hysteria
from routerd.transports.naive import Naive
from routerd.transports.shadowtls import ShadowTls
from routerd.transports.socks import Socks
from routerd.transports.ssh import Ssh
from routerd.transports.tuic import Tuic
from routerd.transports.xray import Grpc, HttpUpgrade, Network, WebSocket, Xhttp

UUID = "b831381d-6324-4d53-ad4f-8cda48b30811"
GOLDEN = Path(__file__).parents[1] / "golden" / "engines"
PUBLIC = b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))).decode()
OPEN_KEY = b64encode(b"openssh-key-v1\0\0\0\0\4none" + bytes(40)).decode()
LOCKED = b64encode(b"openssh-key-v1\0\0\0\0\x0aaes256-ctr" + bytes(40)).decode()
REALITY = f"security=reality&pbk={b64encode(bytes(range(32))).decode().rstrip('=')}&sni=s.example"
TLS = f"vless://{UUID}@h.example:443?security=tls"


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


def escaped(value: object) -> str:
    return quote(value if isinstance(value, str) else json.dumps(value), safe="")


def shadow(plugin: str) -> str:
    return f"ss://{b64('aes-256-gcm:pw')}@h.example:443?plugin={escaped(plugin)}"


@pytest.mark.parametrize(
    ("link", "transport"),
    [
        (f"tuic://{UUID}:p%3Aw@h.example", Tuic("h.example", 443, UUID, "p:w", "h.example")),
        (f"tuic://{UUID}%3Ap@h.example:1?alpn=h3,h2&sni=s.example&disable_sni=0",
         Tuic("h.example", 1, UUID, "p", "s.example", ("h3", "h2"))),
        ("anytls://p@h.example", AnyTls("h.example", 443, "p", "h.example")),
        ("anytls://p@192.0.2.1:1/?sni=s.example&fp=chrome", AnyTls("192.0.2.1", 1, "p", "s.example")),
        (shadow("shadow-tls;host=s.example;password=c;version=3"),
         ShadowTls("h.example", 443, "aes-256-gcm", "pw", "s.example", "c")),
        (shadow("shadowtls;v3;passwd=c;host=s.example"),
         ShadowTls("h.example", 443, "aes-256-gcm", "pw", "s.example", "c")),
        ("hysteria://h.example:1?upmbps=10&downmbps=50", Hysteria("h.example", 1, "h.example", "", 10, 50)),
        (f"ssh://me:pw@h.example?hk={PUBLIC}", Ssh("h.example", 22, "me", (f"ssh-ed25519 {PUBLIC}",), "pw")),
        (f"ssh://h.example?hk={escaped(f'ssh-ed25519 {PUBLIC}')}&pk={OPEN_KEY}",
         Ssh("h.example", 22, "root", (f"ssh-ed25519 {PUBLIC}",), "", OPEN_KEY)),
        ("socks://h.example", Socks("h.example", 1080)),
        (f"socks://{b64('me:p:w')}@h.example:1", Socks("h.example", 1, 5, "me", "p:w")),
        ("socks5h://me:pw@h.example:1", Socks("h.example", 1, 5, "me", "pw")),
        ("socks4a://me@h.example:1", Socks("h.example", 1, 4, "me")),
        ("http://h.example:80", Http("h.example", 80)),
        ("naive+https://me:p%40w@h.example?padding=true", Naive("h.example", 443, "me", "p@w", "h.example")),
        ("naive+quic://me:p@h.example:1?sni=s.example", Naive("h.example", 1, "me", "p", "s.example", quic=True)),
        ("naive://me:p@h.example", Naive("h.example", 443, "me", "p", "h.example")),
        ("https://me:p%40w@h.example:443/#n", Http("h.example", 443, "me", "p@w", "h.example")),
    ],
)  # fmt: skip
def test_a_link_is_read(link: str, transport: Transport) -> None:
    assert parse(link).transport == transport


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("type=httpupgrade&path=%2Fa&host=c.example", HttpUpgrade("/a", "c.example")),
        ("type=grpc&serviceName=a%2Fb", Grpc("a/b")),
        ("type=grpc&mode=multi&authority=c.example", Grpc("", "c.example", True)),
        ("type=xhttp&sni=c.example", Xhttp("/", "c.example")),
        ("type=splithttp&path=%2Fa&mode=stream-one", Xhttp("/a", "h.example", "stream-one")),
    ],
)
def test_a_network_is_read(query: str, found: Network) -> None:
    transport = parse(f"{TLS}&{query}").transport
    assert getattr(transport, "network", None) == found


def test_xhttp_that_offers_http3_alone_runs_over_udp() -> None:
    both, alone = (parse(f"vless://{UUID}@192.0.2.1:443?security=tls&type=xhttp&alpn={a}").transport
                   for a in ("h2,h3", "h3"))  # fmt: skip
    assert [t.launch("x", 1).upstreams[0].proto for t in (both, alone)] == ["tcp", "udp"]


def test_v2rayns_json_names_the_members_of_grpc_and_xhttp_in_its_own_way() -> None:
    fields = {"add": "m.example", "port": 443, "id": UUID, "tls": "tls", "path": "svc", "host": "c.example"}
    grpc, xhttp = (parse("vmess://" + b64(json.dumps(fields | more))).transport
                   for more in ({"net": "grpc", "type": "multi"}, {"net": "xhttp", "type": "stream-up"}))  # fmt: skip
    assert getattr(grpc, "network", None) == Grpc("svc", "c.example", True)
    assert getattr(xhttp, "network", None) == Xhttp("/svc", "c.example", "stream-up")


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("tuic://token@h.example:443", "version 4"),
        (f"tuic://{UUID}:p@h.example?allow_insecure=1", "certificate checking off"),
        (f"tuic://{UUID}:p@h.example?disable_sni=1", "disable_sni"),
        (f"tuic://{UUID}:p@h.example?congestion_control=x", "congestion"),
        (f"tuic://{UUID}:p@h.example?udp_relay_mode=x", "datagrams"),
        ("tuic://me:p@h.example", "UUID"),
        ("anytls://h.example", "password"),
        ("anytls://p@h.example?insecure=1", "certificate checking off"),
        ("anytls://p@h.example?security=reality", "something other than TLS"),
        (shadow("cloak;x=y"), "plugin"),
        (shadow("shadow-tls;host=s.example;password=c;version=2"), "before version 3"),
        (shadow("shadow-tls;password=c;version=3"), "host name"),
        (shadow("shadow-tls;host=s.example;version=3"), "password of ShadowTLS"),
        (shadow("shadow-tls;host=s.example;password=a\\b;version=3"), "backslash"),
        (f"ss://{b64('aes-256-gcm:pw')}@h.example:443?shadow-tls={b64('{}')}", "Shadowrocket"),
        ("hysteria://h.example:1?downmbps=5", "upload rate"),
        ("hysteria://h.example:1?upmbps=5&downmbps=5&protocol=faketcp", "disguise"),
        ("hysteria://h.example:1?upmbps=5&downmbps=5&obfs=xplus", "obfuscation password"),
        ("hysteria://h.example:1?upmbps=5&downmbps=5&insecure=1", "certificate checking off"),
        ("ssh://me:pw@h.example", "which key the server has"),
        (f"ssh://me@h.example?hk={PUBLIC}", "neither a password nor a private key"),
        (f"ssh://me@h.example?hk={b64('nonsense')}&pk={OPEN_KEY}", "kind of server key"),
        (f"ssh://me@h.example?hk={PUBLIC}&pk={LOCKED}", "passphrase"),
        (f"ssh://me@h.example?hk={PUBLIC}&pk={b64('nonsense')}", "not one of OpenSSH"),
        ("socks4://me:pw@h.example", "SOCKS4"),
        ("socks5://me@h.example", "no password"),
        (f"socks5://me:{'p' * 256}@h.example", "255 bytes"),
        ("socks5://me:p%0aw@h.example", "cannot be seen"),
        ("https://h.example/sub?token=secret", "subscription"),
        ("https://h.example:8443/sub", "subscription"),
        ("https://h.example", "subscription"),
        ("http://a%3Ab:pw@h.example:80", "colon"),
        ("naive+https://me@h.example", "user and a password"),
        ("naive+https://a%3Ab:pw@h.example", "user and a password"),
        ("naive+https://me:p@h.example?extra-headers=X%3A1", "extra-headers"),
        ("naive+https://me:p@h.example?insecure=1", "certificate checking"),
        (f"{TLS}&type=kcp&seed=x", "mKCP"),
        (f"{TLS}&type=quic", "QUIC"),
        (f"{TLS}&type=h2", "HTTP/2"),
        (f"{TLS}&type=xhttp&mode=x", "XHTTP mode"),
        (f"{TLS}&type=grpc&mode=guna", "gRPC mode"),
        (f"{TLS}&type=grpc&serviceName=a%0ab", "gRPC service"),
        (f"vless://{UUID}@h.example:443?{REALITY}&type=ws", "REALITY goes around"),
        (f"vless://{UUID}@h.example:443?{REALITY}&type=httpupgrade", "REALITY goes around"),
        (f"vless://{UUID}@h.example:443?type=xhttp", "no encryption at all"),
        (f"{TLS}&type=xhttp&flow=xtls-rprx-vision", "Vision"),
        (f"{TLS}&type=xhttp&extra=x", "no JSON"),
    ],
)  # fmt: skip
def test_a_link_is_refused_with_its_reason(link: str, reason: str) -> None:
    with pytest.raises(LinkError, match=reason):
        parse(link)


def test_of_xhttps_extra_what_a_client_reads_is_kept_in_one_way_of_writing() -> None:
    given = {"xPaddingBytes": "100-1000", "noGRPCHeader": False, "scMaxEachPostBytes": 1000000,
             "scMaxBufferedPosts": 30, "xmux": {"maxConcurrency": "16-32", "hKeepAlivePeriod": -1},
             "headers": {"Accept-Language": "de, en"}, "seqPlacement": ""}  # fmt: skip
    assert json.loads(judged(json.dumps(given), "auto")) == {
        "xPaddingBytes": "100-1000",
        "scMaxEachPostBytes": "1000000-1000000",
        "xmux": {"maxConcurrency": "16-32", "hKeepAlivePeriod": -1},
        "headers": {"Accept-Language": "de, en"},
    }


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("[" * 9000, "no JSON"),
        ([], "no JSON object"),
        ({"downloadSettings": {"address": "h.example"}}, "second server"),
        ({"unheard": 1}, "not supported"),
        ({"xmux": {"unheard": 1}}, "not supported"),
        ({"xPaddingBytes": "0"}, "padding off"),
        ({"xPaddingBytes": "9-1"}, "backwards"),
        ({"scMaxEachPostBytes": True}, "range"),
        ({"scMaxEachPostBytes": 10**30}, "range"),
        ({"uplinkChunkSize": "1\n"}, "range"),
        ({"noGRPCHeader": "yes"}, "switch"),
        ({"seqKey": "a b"}, "name"),
        ({"seqPlacement": "body"}, "word"),
        ({"headers": {"Host": "h.example"}}, "header"),
        ({"headers": {"A": "x\r\nB: y"}}, "header"),
        ({"headers": {"A\n": "x"}}, "name"),
        ({"xmux": {"maxConcurrency": 1, "maxConnections": 1}}, "both"),
        ({"xmux": {"hKeepAlivePeriod": 1.5}}, "seconds"),
        ({"uplinkDataPlacement": "header"}, "packet-up"),
    ],
)  # fmt: skip
def test_xhttps_extra_is_refused_with_its_reason(extra: object, reason: str) -> None:
    with pytest.raises(LinkError, match=reason):
        judged(extra if isinstance(extra, str) else json.dumps(extra), "auto")


def test_a_sing_box_document_with_these_kinds_is_read() -> None:
    tls, here = {"enabled": True, "server_name": "s.example"}, {"server": "h.example", "server_port": 443}
    pem = ["-----BEGIN OPENSSH PRIVATE KEY-----", OPEN_KEY[:40], OPEN_KEY[40:], "-----END OPENSSH PRIVATE KEY-----"]
    found = read_all(json.dumps({"outbounds": [
        {"type": "tuic", **here, "uuid": UUID, "password": "p", "tls": tls},
        {"type": "anytls", **here, "password": "p", "tls": tls},
        {"type": "hysteria", **here, "up_mbps": 1, "down_mbps": 2, "auth_str": "p", "tls": tls},
        {"type": "ssh", **here, "user": "me", "private_key": pem, "host_key": [f"ssh-ed25519 {PUBLIC}"]},
        {"type": "socks", **here, "version": "4"},
        {"type": "http", **here, "username": "me", "password": "p", "tls": tls},
        {"type": "shadowsocks", "method": "aes-256-gcm", "password": "p", "detour": "cover"},
        {"type": "shadowtls", "tag": "cover", **here, "version": 3, "password": "c", "tls": tls},
        {"type": "ssh", **here, "user": "me", "password": "p"},
        {"type": "naive", **here, "username": "me", "password": "p", "tls": tls, "quic": True},
        {"type": "naive", **here, "username": "me", "password": "p", "tls": tls, "extra_headers": {"X": "1"}},
    ]}))  # fmt: skip
    assert [one.transport for one in found.transports] == [
        Tuic("h.example", 443, UUID, "p", "s.example"),
        AnyTls("h.example", 443, "p", "s.example"),
        Hysteria("h.example", 443, "s.example", "p", 1, 2),
        Ssh("h.example", 443, "me", (f"ssh-ed25519 {PUBLIC}",), "", OPEN_KEY),
        Socks("h.example", 443, 4),
        Http("h.example", 443, "me", "p", "s.example"),
        ShadowTls("h.example", 443, "aes-256-gcm", "p", "s.example", "c"),
        Naive("h.example", 443, "me", "p", "s.example", quic=True),
    ]
    assert [one.reason.split(" is ")[0] for one in found.rejected] == [
        "It",  # the outer half of ShadowTLS
        "The link does not say which key the server has: hk=ssh-ed25519 AAAA…",
        "It wants HTTP headers of its own, which are not carried.",
    ]


seen = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=40)
names = st.sampled_from(["h.example", "192.0.2.7", "2001:db8::7"])
ports = st.integers(1, 65535)
rates = st.integers(1, 99999)
plain = seen.filter(lambda text: not set(text) & set("\\;"))
users = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)
TRANSPORTS: dict[str, st.SearchStrategy[Transport]] = {
    "tuic": st.builds(Tuic, names, ports, st.just(UUID), seen, names, st.sampled_from([("h3",), ("h2", "h3")]),
                      st.sampled_from(["cubic", "bbr"]), st.sampled_from(["native", "quic"])),
    "anytls": st.builds(AnyTls, names, ports, seen, names),
    "shadowtls": st.builds(ShadowTls, names, ports, st.just("aes-256-gcm"), seen, names, plain),
    "hysteria": st.builds(Hysteria, names, ports, names, seen | st.just(""), rates, rates, seen | st.just("")),
    "ssh": st.builds(Ssh, names, ports, users, st.just((f"ssh-ed25519 {PUBLIC}",)), seen,
                     st.sampled_from(["", OPEN_KEY])),
    "socks": st.one_of(st.builds(Socks, names, ports), st.builds(Socks, names, ports, st.just(5), users, seen),
                       st.builds(Socks, names, ports, st.just(4), users)),
    "http": st.one_of(st.builds(Http, names, ports), st.builds(Http, names, ports, users, seen, names | st.just(""))),
    "naive": st.builds(Naive, names, ports, users, seen, names, st.booleans()),
}  # fmt: skip


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_what_is_written_is_read_again_as_it_was(kind: str) -> None:
    @settings(max_examples=40, deadline=None)
    @given(TRANSPORTS[kind], users)
    def check(transport: Transport, name: str) -> None:
        assert parse(WRITERS[kind](name, transport)) == Named(name, transport)

    check()


def test_every_golden_link_of_these_kinds_is_written_and_read_again() -> None:
    found = [parse(path.read_text()) for path in sorted(GOLDEN.glob("*/link.txt"))]
    ours = [one for one in found if one.transport.kind in TRANSPORTS]
    assert {one.transport.kind for one in ours} == set(TRANSPORTS)
    assert [parse(WRITERS[one.transport.kind](one.name, one.transport)) for one in ours] == ours


@pytest.mark.parametrize(
    "ride",
    [
        None,
        WebSocket("/a", "c.example"),
        HttpUpgrade("/a", "c.example:8443"),
        Grpc("svc", "c.example", True),
        Grpc(),
        Xhttp("/a?b=c", "c.example", "packet-up", '{"xPaddingBytes":"1-2"}'),
    ],
)
def test_a_network_is_written_as_it_is_read(ride: Network) -> None:
    assert network({key: value for key, value in network_query(ride).items() if value}, "h.example") == ride
