"""Documents: Clash, sing-box, Xray, SIP008, Outline, Amnezia. What each entry becomes, and what it is refused for."""

from __future__ import annotations

import json
import struct
import zlib
from base64 import b64encode, urlsafe_b64encode
from ipaddress import ip_interface
from urllib.parse import quote

import pytest

from routerd.links import parse
from routerd.links.bulk import Import, read_all
from routerd.links.yaml import LinkError, tree
from routerd.transports.amneziawg import AmneziaWg
from routerd.transports.hysteria2 import Hysteria2
from routerd.transports.shadowsocks import Shadowsocks
from routerd.transports.trojan import Trojan
from routerd.transports.vless import Vless
from routerd.transports.vmess import Vmess
from routerd.transports.wireguard import WireGuard
from routerd.transports.xray import Reality, Tls, WebSocket
from tests.unit.test_links import CONF, KEY, SAFE_KEY, UUID

TLS = {"enabled": True, "server_name": "w.example"}
USER = {"address": "a.example", "port": 443, "users": [{"id": UUID, "encryption": "none", "flow": "xtls-rprx-vision"}]}
REALITY = Reality("w.example", SAFE_KEY, "00112233")


def transports(found: Import) -> list[object]:
    return [named.transport for named in found.transports]


def reason(text: str) -> str:
    found = read_all(text)
    assert (len(found.transports), len(found.rejected)) == (0, 1), found
    return found.rejected[0].reason


def clash(entry: str) -> str:
    return f"port: 7890\nproxies:\n  - {{{entry}}}\nproxy-groups:\n  - {{name: g, type: select, proxies: [a]}}\n"


def outbound(**entry: object) -> str:
    return json.dumps({"log": {"output": "/etc/passwd"}, "inbounds": [], "outbounds": [entry]})


def xray(protocol: str, settings: object, **stream: object) -> str:
    entry = {"tag": "proxy", "protocol": protocol, "settings": settings, "streamSettings": stream}
    return json.dumps({"remarks": "R", "outbounds": [entry]})


@pytest.mark.parametrize(
    ("entry", "transport"),
    [
        ("type: ss, server: a.example, port: 443, cipher: aes-256-gcm, password: 0123", Shadowsocks("a.example", 443, "aes-256-gcm", "0123")),
        ("type: ss, server: a.example, port: 443, cipher: aes-256-gcm, password: x, plugin: obfs, plugin-opts: {mode: tls, host: b.example}",
         Shadowsocks("a.example", 443, "aes-256-gcm", "x", "obfs-local", "obfs=tls;obfs-host=b.example")),
        ("type: ss, server: a.example, port: 443, cipher: aes-256-gcm, password: x, plugin: v2ray-plugin,"
         " plugin-opts: {mode: websocket, tls: true, host: b.example, path: /p, mux: false}",
         Shadowsocks("a.example", 443, "aes-256-gcm", "x", "v2ray-plugin", "tls;mode=websocket;host=b.example;path=/p;mux=0")),
        (f"type: vless, server: v.example, port: 443, uuid: {UUID}, tls: true, flow: xtls-rprx-vision, servername: w.example,"
         f" reality-opts: {{public-key: {SAFE_KEY}, short-id: 00112233}}",
         Vless("v.example", 443, UUID, REALITY, flow="xtls-rprx-vision")),
        (f"type: vmess, server: m.example, port: 443, uuid: {UUID}, alterId: 0, cipher: auto, tls: true, network: ws,"
         " ws-opts: {path: /x, headers: {Host: c.example}, max-early-data: 2048}",
         Vmess("m.example", 443, UUID, "auto", Tls("c.example"), WebSocket("/x?ed=2048", "c.example"))),
        ("type: trojan, server: t.example, port: 443, password: p, network: ws, ws-opts: {headers: {Host: c.example}}",
         Trojan("t.example", 443, "p", Tls("t.example"), WebSocket("/", "c.example"))),
        ("type: trojan, server: '2001:db8::1', port: 443, password: 'p@:/#?', sni: s.example, alpn: [h2, http/1.1]",
         Trojan("2001:db8::1", 443, "p@:/#?", Tls("s.example", alpn=("h2", "http/1.1")))),
        ("type: hysteria2, server: h.example, port: 443, ports: '1000,2000-3000', password: p, sni: s.example, obfs: salamander, obfs-password: q",
         Hysteria2("h.example", 1000, "s.example", "p", ((1000, 1000), (2000, 3000)), "salamander", "q")),
        (f"type: wireguard, server: t.example, port: 1, ip: 10.0.0.2, private-key: {KEY}, public-key: {KEY}, amnezia-wg-option: {{jc: 5, h1: 9, mtu: 1, rekey-timeout: '4-6', version: 3, random-trailers: true}}",
         AmneziaWg("t.example", 1, KEY, KEY, (ip_interface("10.0.0.2"),), terms=(("Jc", "5"), ("H1", "9"), ("RekeyTimeout", "4-6"), ("RandomTrailers", "on")))),
    ],
)  # fmt: skip
def test_a_clash_entry_is_read(entry: str, transport: object) -> None:
    found = read_all(clash(f"name: '🇭🇰 \"n\"', {entry}"))
    assert (transports(found), [named.name for named in found.transports]) == ([transport], ['🇭🇰 "n"'])


def test_clash_wireguard_is_read() -> None:
    found = read_all(clash(f"name: n, type: wireguard, server: w.example, port: 1, ip: 10.0.0.2, ipv6: 'fd00::2', private-key: {KEY}, public-key: {KEY}"))
    assert isinstance(found.transports[0].transport, WireGuard)
    assert list(map(str, found.transports[0].transport.addresses)) == ["10.0.0.2/32", "fd00::2/128"]


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ("type: trojan, server: t.example, port: 443, password: p, skip-cert-verify: true", "certificate checking off"),
        ("type: trojan, server: t.example, port: 443, password: p, dialer-proxy: x", "via"),
        ("type: trojan, server: t.example, port: 443, password: p, certificate: ./c.pem, private-key: ./k.pem", "certificate"),
        ("type: trojan, server: t.example, port: 443, password: p, ss-opts: {enabled: true}", "Shadowsocks inside"),
        ("type: trojan, server: 'x@t.example', port: 443, password: p", "host name"),
        ("type: trojan, server: t.example, port: '443;id', password: p", "port"),
        ("type: snell, server: t.example, port: 443, psk: p", "Snell"),
        ("type: $(reboot), server: t.example, port: 443", "not supported"),
        (f"type: vmess, server: t.example, port: 443, uuid: {UUID}, alterId: 64, cipher: auto", "alterId"),
        (f"type: vless, server: t.example, port: 443, uuid: {UUID}, tls: true, network: h2", "network"),
        (f"type: vless, server: t.example, port: 443, uuid: {UUID}", "no encryption"),
        ("type: ss, server: t.example, port: 443, cipher: aes-256-gcm, password: x, plugin: /bin/sh", "plugin"),
        ("type: ss, server: t.example, port: 443, cipher: none, password: x", "cipher"),
        ("type: hysteria2, server: t.example, port: 443, password: p, fingerprint: aa", "pinSHA256"),
        (f"type: hysteria2, server: t.example, port: 443, password: p, obfs: gecko, obfs-password: q, fingerprint: {'aa' * 32}", "allowed: salamander"),
        (f"type: wireguard, server: t.example, port: 1, ip: 10.0.0.2, private-key: {KEY}, public-key: {KEY}, reserved: [1, 2, 3]", "reserved"),
        (f"type: wireguard, server: t.example, port: 1, ip: 10.0.0.2, private-key: {KEY}, public-key: {KEY}, amnezia-wg-option: {{jc: 500}}", "AmneziaWG's Jc"),
    ],
)  # fmt: skip
def test_a_clash_entry_is_refused_with_its_reason(entry: str, word: str) -> None:
    assert word in reason(clash(f"name: n, {entry}"))


HOST_KEY = "ssh-ed25519 " + b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()


@pytest.mark.parametrize(
    ("entry", "link"),
    [
        (f"type: tuic, uuid: {UUID}, password: p, alpn: [h3], congestion-controller: bbr, sni: s.example",
         f"tuic://{UUID}:p@a.example:443?alpn=h3&congestion_control=bbr&sni=s.example"),
        ("type: anytls, password: p, sni: s.example", "anytls://p@a.example:443?sni=s.example"),
        ("type: hysteria, auth-str: p, up: 30 Mbps, down: 200 Mbps, sni: s.example, obfs: x",
         "hysteria://a.example:443?auth=p&peer=s.example&upmbps=30&downmbps=200&obfs=xplus&obfsParam=x"),
        (f"type: ssh, username: u, password: p, host-key: ['{HOST_KEY}']", f"ssh://u:p@a.example:443?hk={quote(HOST_KEY, safe='')}"),
        ("type: socks5, username: u, password: p", "socks5://u:p@a.example:443"),
        ("type: http, username: u, password: p, tls: true, sni: s.example", "https://u:p@a.example:443?sni=s.example"),
        ("type: ss, cipher: aes-256-gcm, password: x, plugin: shadow-tls, plugin-opts: {host: s.example, password: 'q=', version: 3}",
         "ss://YWVzLTI1Ni1nY206eA@a.example:443?plugin=shadow-tls%3Bhost%3Ds.example%3Bpassword%3Dq%3D%3Bversion%3D3"),
        (f"type: vless, uuid: {UUID}, tls: true, servername: s.example, network: grpc, grpc-opts: {{grpc-service-name: svc}}",
         f"vless://{UUID}@a.example:443?security=tls&sni=s.example&type=grpc&serviceName=svc"),
        (f"type: vless, uuid: {UUID}, tls: true, servername: s.example, network: ws, ws-opts: {{path: /x, v2ray-http-upgrade: true}}",
         f"vless://{UUID}@a.example:443?security=tls&sni=s.example&type=httpupgrade&path=%2Fx"),
        (f"type: vless, uuid: {UUID}, tls: true, servername: s.example, network: xhttp, xhttp-opts: {{path: /x, mode: packet-up}}",
         f"vless://{UUID}@a.example:443?security=tls&sni=s.example&type=xhttp&path=%2Fx&mode=packet-up"),
    ],
)  # fmt: skip
def test_a_clash_entry_means_what_its_link_means(entry: str, link: str) -> None:
    assert transports(read_all(clash(f"name: n, server: a.example, port: 443, {entry}"))) == [parse(link).transport]


@pytest.mark.parametrize(
    ("entry", "link"),
    [
        ({"type": "tuic", "uuid": UUID, "password": "p", "congestion_control": "bbr"}, f"tuic://{UUID}:p@a.example:443?congestion_control=bbr&sni=w.example"),
        ({"type": "anytls", "password": "p"}, "anytls://p@a.example:443?sni=w.example"),
        ({"type": "hysteria", "auth_str": "p", "up_mbps": 10, "down_mbps": 20}, "hysteria://a.example:443?auth=p&peer=w.example&upmbps=10&downmbps=20"),
        ({"type": "ssh", "user": "u", "password": "p", "host_key": [HOST_KEY]}, f"ssh://u:p@a.example:443?hk={quote(HOST_KEY, safe='')}"),
        ({"type": "http", "username": "u", "password": "p"}, "https://u:p@a.example:443?sni=w.example"),
        ({"type": "socks", "version": "4a", "username": "u"}, "socks4a://u@a.example:443"),
        ({"type": "vless", "uuid": UUID, "transport": {"type": "grpc", "service_name": "svc"}},
         f"vless://{UUID}@a.example:443?security=tls&sni=w.example&type=grpc&serviceName=svc"),
        ({"type": "vless", "uuid": UUID, "transport": {"type": "httpupgrade", "path": "/p", "host": "c.example"}},
         f"vless://{UUID}@a.example:443?security=tls&sni=w.example&type=httpupgrade&path=%2Fp&host=c.example"),
    ],
)  # fmt: skip
def test_a_sing_box_entry_means_what_its_link_means(entry: dict[str, object], link: str) -> None:
    found = read_all(outbound(tag="n", server="a.example", server_port=443, tls=TLS, **entry))
    assert transports(found) == [parse(link).transport]


def test_shadowsocks_through_shadowtls_is_one_transport_of_sing_box() -> None:
    inner = {"type": "shadowsocks", "tag": "n", "method": "aes-256-gcm", "password": "x", "detour": "o"}
    outer = {"type": "shadowtls", "tag": "o", "server": "a.example", "server_port": 443, "version": 3, "password": "q=", "tls": TLS}
    plugin = quote("shadow-tls;host=w.example;password=q=;version=3", safe="")
    wanted = parse(f"ss://YWVzLTI1Ni1nY206eA@a.example:443?plugin={plugin}").transport
    assert transports(read_all(json.dumps({"outbounds": [inner, outer]}))) == [wanted]


@pytest.mark.parametrize(
    ("stream", "query"),
    [
        ({"network": "grpc", "grpcSettings": {"serviceName": "svc", "multiMode": True}}, "type=grpc&serviceName=svc&mode=multi"),
        ({"network": "xhttp", "xhttpSettings": {"path": "/p", "mode": "auto", "extra": {"xPaddingBytes": "100-1000"}}},
         "type=xhttp&path=%2Fp&mode=auto&extra=%7B%22xPaddingBytes%22%3A%22100-1000%22%7D"),
        ({"network": "httpupgrade", "httpupgradeSettings": {"path": "/p", "host": "c.example"}}, "type=httpupgrade&path=%2Fp&host=c.example"),
    ],
)  # fmt: skip
def test_an_xray_stream_means_what_its_link_means(stream: dict[str, object], query: str) -> None:
    text = xray("vless", {"vnext": [USER | {"users": [{"id": UUID}]}]}, security="tls", tlsSettings={"serverName": "s.example"}, **stream)
    assert transports(read_all(text)) == [parse(f"vless://{UUID}@a.example:443?security=tls&sni=s.example&{query}").transport]


def test_clash_merges_and_aliases_are_understood() -> None:
    text = f"proxies:\n  - &b\n    {{name: a, type: trojan, server: a.example, port: 443, password: {UUID}}}\n  - <<: *b\n    name: b\n    server: b.example\n"
    assert [(n.name, n.transport.server) for n in read_all(text).transports] == [("a", "a.example"), ("b", "b.example")]


def test_clash_providers_are_subscriptions() -> None:
    found = read_all("proxy-providers:\n  a: {type: http, url: 'https://s.example/x', path: ./a.yaml}\n  b: {type: file, path: /etc/shadow}\n")
    assert (found.transports, found.subscriptions, len(found.rejected)) == ((), ("https://s.example/x",), 2)


@pytest.mark.parametrize("text", ["proxies: []", '{"outbounds": []}', "[{}]", '{"proxies": []}'])
def test_a_document_without_servers_is_said_to_be_one(text: str) -> None:
    assert reason(text)


@pytest.mark.parametrize("text", [
    "proxies: &a [*a]",
    "proxies:\n  - &a [x]\n  - &b [*a, *a]\n  - &c [*b, *b]",
    "proxies:\n" + "  - &a " + "x" * 20_000 + "\n" + "  - *a\n" * 100,
    "proxies: " + "[" * 100,
    "proxies: *none",
    "proxies:\n  - [",
    "proxies:\n  ? [a]\n  : b",
])  # fmt: skip
def test_yaml_that_grows_or_nests_without_end_is_refused(text: str) -> None:
    with pytest.raises(LinkError):
        tree(text)
    assert read_all(text).rejected


def test_yaml_makes_text_and_nothing_else() -> None:
    assert tree("a: !!python/object/apply:os.system [reboot]\nb: 00112233\nc: 2026-01-01\nd: ~") == {
        "a": ["reboot"], "b": "00112233", "c": "2026-01-01", "d": "~",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "transport"),
    [
        ({"type": "vless", "uuid": UUID, "flow": "xtls-rprx-vision",
          "tls": TLS | {"utls": {"enabled": True, "fingerprint": "chrome"}, "reality": {"enabled": True, "public_key": SAFE_KEY, "short_id": "00112233"}}},
         Vless("a.example", 443, UUID, REALITY, flow="xtls-rprx-vision")),
        ({"type": "trojan", "password": "p", "tls": {"enabled": True}, "transport": {"type": "ws", "path": "/a", "headers": {"Host": ["c.example"]}}},
         Trojan("a.example", 443, "p", Tls("a.example"), WebSocket("/a", "c.example"))),
        ({"type": "vmess", "uuid": UUID, "security": "auto", "alter_id": 0}, Vmess("a.example", 443, UUID)),
        ({"type": "shadowsocks", "method": "aes-256-gcm", "password": "p", "plugin": "obfs-local", "plugin_opts": "obfs=http"},
         Shadowsocks("a.example", 443, "aes-256-gcm", "p", "obfs-local", "obfs=http")),
        ({"type": "hysteria2", "server_ports": ["2080:3000"], "password": "p", "obfs": {"type": "salamander", "password": "q"}, "tls": TLS},
         Hysteria2("a.example", 2080, "w.example", "p", ((2080, 3000),), "salamander", "q")),
    ],
)  # fmt: skip
def test_a_sing_box_entry_is_read(entry: dict[str, object], transport: object) -> None:
    found = read_all(outbound(tag="n", server="a.example", server_port=443, **entry))
    assert transports(found) == [transport]


def test_a_sing_box_endpoint_and_its_older_form_are_the_same() -> None:
    peer = {"address": "w.example", "port": 1, "public_key": KEY, "reserved": [0, 0, 0]}
    new = {"endpoints": [{"type": "wireguard", "tag": "n", "address": ["10.0.0.2/32"], "private_key": KEY, "peers": [peer]}]}
    old = {"type": "wireguard", "tag": "n", "server": "w.example", "server_port": 1, "local_address": "10.0.0.2/32", "private_key": KEY}
    assert transports(read_all(json.dumps(new))) == transports(read_all(outbound(**old, peer_public_key=KEY)))


def test_a_forks_amneziawg_endpoint_is_read_with_its_terms_beside_the_rest_or_in_a_table_of_their_own() -> None:
    peer = {"address": "w.example", "port": 1, "public_key": KEY}
    plain = {"tag": "n", "address": ["10.0.0.2/32"], "private_key": KEY, "peers": [peer]}
    terms = {"jc": 4, "jmin": 10, "jmax": 50, "h1": "7-9"}
    flat = read_all(json.dumps({"endpoints": [{"type": "awg", **plain, **terms}]}))
    (found,) = transports(read_all(json.dumps({"endpoints": [{"type": "wireguard", **plain, "amnezia": terms}]})))
    assert isinstance(found, AmneziaWg)
    assert transports(flat) == [found]
    assert found.terms == (("Jc", "4"), ("Jmin", "10"), ("Jmax", "50"), ("H1", "7-9"))


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({"type": "selector", "outbounds": ["a"]}, "no server"),
        ({"type": "trojan", "password": "p", "tls": TLS | {"insecure": True}}, "certificate checking off"),
        ({"type": "trojan", "password": "p", "tls": TLS | {"certificate_path": "/etc/shadow"}}, "certificate"),
        ({"type": "trojan", "password": "p", "tls": TLS | {"ech": {"enabled": True}}}, "ech="),
        ({"type": "trojan", "password": "p"}, "no encryption"),
        ({"type": "vless", "uuid": UUID, "tls": TLS, "transport": {"type": "quic"}}, "network"),
        ({"type": "shadowtls", "version": 3, "password": "p", "tls": TLS}, "outer half"),
        ({"type": "wireguard", "private_key": KEY, "peer_public_key": KEY, "local_address": ["10.0.0.2/32"], "reserved": [1, 2, 3]}, "reserved"),
        ({"type": 5}, "not supported"),
    ],
)  # fmt: skip
def test_a_sing_box_entry_is_refused_with_its_reason(entry: dict[str, object], word: str) -> None:
    assert word in reason(outbound(tag="n", server="a.example", server_port=443, **entry))


def test_a_sing_box_chain_is_refused() -> None:
    entries = [{"type": "trojan", "tag": "a", "server": "a.example", "server_port": 1, "password": "p", "tls": TLS}]
    entries.append({"type": "trojan", "tag": "b", "server": "b.example", "server_port": 1, "password": "p", "tls": TLS, "detour": "a"})
    found = read_all(json.dumps({"outbounds": entries}))
    assert ([n.name for n in found.transports], "via" in found.rejected[0].reason) == (["a"], True)


def test_xray_configurations_are_read_under_their_remarks() -> None:
    stream = {"network": "raw", "security": "reality",
              "realitySettings": {"serverName": "w.example", "publicKey": SAFE_KEY, "shortId": "00112233", "fingerprint": "chrome"},
              "sockopt": {"dialerProxy": "fragment"}}  # fmt: skip
    one = json.loads(xray("vless", {"vnext": [USER]}, **stream))
    one["outbounds"].append({"tag": "fragment", "protocol": "freedom", "settings": {"fragment": {}}})
    two = json.loads(xray("trojan", {"address": "b.example", "port": 1, "password": "p"}, network="ws", security="tls",
                          tlsSettings={"serverName": "s.example"}, wsSettings={"path": "/p", "host": "c.example"}))  # fmt: skip
    found = read_all(json.dumps([one, two | {"remarks": "🇩🇪 2"}]))
    assert transports(found) == [
        Vless("a.example", 443, UUID, REALITY, flow="xtls-rprx-vision"),
        Trojan("b.example", 1, "p", Tls("s.example"), WebSocket("/p", "c.example")),
    ]
    assert [named.name for named in found.transports] == ["R", "🇩🇪 2"]
    assert len(found.rejected) == 1


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (xray("vless", {"vnext": [USER]}), "no encryption"),
        (xray("vless", {"vnext": [USER]}, security="tls", tlsSettings={"allowInsecure": True}), "certificate checking off"),
        (xray("vless", {"vnext": [USER]}, security="tls", tlsSettings={"certificates": [{"certificateFile": "/etc/shadow"}]}), "certificate"),
        (xray("vless", {"vnext": [USER]}, security="tls", sockopt={"dialerProxy": "other"}), "via"),
        (xray("vmess", {"vnext": [USER | {"users": [{"id": UUID, "alterId": 4}]}]}), "alterId"),
        (xray("shadowsocks", {"servers": [{"address": "a.example", "port": 1, "method": "rc4", "password": "p"}]}), "cipher"),
        (xray("freedom", {}), "no server"),
        (xray("sudo", {}), "not supported"),
        (xray("vless", {"vnext": "x"}, security="tls"), "host name"),
    ],
)  # fmt: skip
def test_an_xray_entry_is_refused_with_its_reason(text: str, word: str) -> None:
    assert word in reason(text)


SERVER = {"server": "s.example", "server_port": 8388, "password": "p", "method": "aes-256-gcm"}
CARRIED = Shadowsocks("s.example", 8388, "aes-256-gcm", "p")


@pytest.mark.parametrize("found", [{"version": 1, "servers": [SERVER | {"remarks": "n"}]}, [SERVER], SERVER, SERVER | {"prefix": "\x16\x03"}])
def test_shadowsocks_documents_are_read(found: object) -> None:
    assert transports(read_all(json.dumps(found))) == [CARRIED]


def tunnel(tcp: str, udp: str = "") -> str:
    return f"transport:\n  $type: tcpudp\n  tcp: {tcp}\n" + (f"  udp: {udp}\n" if udp else "")


def dialer(endpoint: str = "s.example:8388", more: str = "") -> str:
    return f"{{$type: shadowsocks, endpoint: {endpoint}, cipher: aes-256-gcm, secret: p{more}}}"


@pytest.mark.parametrize("text", [
    "ss://YWVzLTI1Ni1nY206cA@s.example:8388/?outline=1&prefix=POST%20#n",
    tunnel(dialer('"s.example:8388"')),
    tunnel(dialer('"s.example:8388"', ', prefix: "POST "'), dialer('"s.example:8388"')),
    tunnel("&a " + dialer('"s.example:8388"'), "*a"),
    tunnel(dialer('{$type: dial, address: "s.example:8388"}')),
    'transport: "ss://YWVzLTI1Ni1nY206cA@s.example:8388"\n',
    tunnel('{$type: first-supported, options: [{$type: websocket, url: "wss://x"}, ' + dialer('"s.example:8388"') + "]}"),
])  # fmt: skip
def test_what_outlines_dynamic_keys_answer_is_read(text: str) -> None:
    assert transports(read_all(text)) == [CARRIED]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (tunnel(dialer('{$type: websocket, url: "wss://s.example/x"}')), "websockets"),
        (tunnel(dialer('{$type: dial, address: "s.example:1", dialer: {$type: shadowsocks}}')), "chains"),
        (tunnel(dialer('"s.example:8388"'), dialer('"other.example:8388"')), "another one for UDP"),
        (tunnel("{$type: vless}"), "not supported"),
        ("transport:\n  $type: tcpudp\n", "no way for TCP"),
    ],
)
def test_what_outline_means_and_we_cannot_carry_is_refused(text: str, word: str) -> None:
    assert word in reason(text)


def key(found: object) -> str:
    data = json.dumps(found).encode()
    return "vpn://" + urlsafe_b64encode(struct.pack(">I", len(data)) + zlib.compress(data)).decode().rstrip("=")


def container(name: str, protocol: str, config: object) -> dict[str, object]:
    return {"container": name, protocol: {"last_config": json.dumps(config)}}


WIREGUARD = container("amnezia-wireguard", "wireguard", {"config": CONF})


def test_an_amnezia_key_is_the_transport_of_its_default_container() -> None:
    ray = container("amnezia-xray", "xray", json.loads(xray("vless", {"vnext": [USER]}, security="tls")))
    both = {"containers": [ray, WIREGUARD], "defaultContainer": "amnezia-wireguard", "description": "Мой сервер"}
    found = read_all(f"{key(both)}\n{key(both | {'defaultContainer': 'amnezia-xray'})}")
    assert [(n.name, n.transport.kind) for n in found.transports] == [("Мой сервер", "wireguard"), ("Мой сервер", "vless")]


def test_an_amnezia_key_of_its_own_kind_of_wireguard_is_that_kind() -> None:
    conf = CONF.replace("[Peer]", "Jc = 4\nJmin = 10\nJmax = 50\nS1 = 30\nH1 = 7\n[Peer]")
    (found,) = read_all(key({"containers": [container("amnezia-awg", "awg", {"config": conf})]})).transports
    assert isinstance(found.transport, AmneziaWg)
    assert found.transport.terms == (("Jc", "4"), ("Jmin", "10"), ("Jmax", "50"), ("S1", "30"), ("H1", "7"))


def test_an_amnezia_key_may_be_plain_json_and_broken_by_a_chat() -> None:
    plain = "vpn://" + b64encode(json.dumps({"containers": [WIREGUARD]}).encode()).decode()
    packed = key({"containers": [WIREGUARD]})
    for text in (plain, "\n".join(packed[i : i + 60] for i in range(0, len(packed), 60))):
        assert [n.transport.server for n in read_all(text).transports] == ["vpn.example.com"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (key({"containers": [container("amnezia-awg", "awg", {"config": CONF.replace("[Peer]", "Jc = x\n[Peer]")})]}), "AmneziaWG's Jc"),
        (key({"containers": [container("amnezia-openvpn-cloak", "openvpn", {"config": "client\nremote 127.0.0.1 1"})]}), "nothing that can be carried"),
        (key({"containers": [container("amnezia-openvpn", "openvpn", {"config": "client\nremote h.example 1"})]}), "OpenVPN"),
        (key({"api_key": "x", "containers": []}), "own service"),
        ("vpn://AAAAAAAA", "damaged"),
        ("vpn://AAAA", "cut off"),
        ("vpn://" + urlsafe_b64encode(b"\0\0\0\0" + zlib.compress(b"a" * 20_000_000)).decode(), "larger"),
    ],
)  # fmt: skip
def test_an_amnezia_key_is_refused_with_its_reason(text: str, word: str) -> None:
    assert word in reason(text)


def test_nothing_of_a_document_but_its_servers_is_read() -> None:
    """Fault 66."""
    text = json.dumps({
        "log": {"output": "/etc/cron.d/x"}, "experimental": {"clash_api": {"external_controller": "0.0.0.0:1"}},
        "route": {"rules": []}, "dns": {"servers": ["1.1.1.1"]}, "inbounds": [{"type": "tun"}],
        "outbounds": [{"type": "trojan", "tag": "n", "server": "a.example", "server_port": 1, "password": "p", "tls": TLS,
                       "bind_interface": "eth0", "routing_mark": 1, "domain_resolver": "x"}],
    })  # fmt: skip
    found = read_all(text)
    assert transports(found) == [Trojan("a.example", 1, "p", Tls("w.example"))]
    assert found.rejected == ()


@pytest.mark.parametrize("text", ['{"a": 1}', "[1, 2]", '[{"a": 1}]', '{"outbounds": [3]}', '{"outbounds": [{"type": []}]}', '{"servers": [[]]}',
                                  '{"containers": [3]}', '{"proxies": ["x"]}', '{"transport": 5}', "{", '{"server": 1, "method": 2}'])  # fmt: skip
def test_a_document_of_another_shape_is_rejected_and_not_a_crash(text: str) -> None:
    found = read_all(text)
    assert found.rejected and not found.transports
