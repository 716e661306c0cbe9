"""Links that people have been given, and what becomes of them."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import asdict

import pytest

from routerd.links import LinkError, parse
from routerd.transports.hysteria2 import Hysteria2
from routerd.transports.shadowsocks import Shadowsocks
from routerd.transports.trojan import Trojan
from routerd.transports.vless import Vless
from routerd.transports.vmess import Vmess
from routerd.transports.amneziawg import AmneziaWg
from routerd.transports.wireguard import WireGuard
from routerd.transports.xray import Reality, Tls, WebSocket

UUID = "b831381d-6324-4d53-ad4f-8cda48b30811"
KEY = b64encode(bytes(range(32))).decode()
SAFE_KEY = KEY.replace("+", "-").replace("/", "_").rstrip("=")
CONF = f"""
[Interface]
PrivateKey = {KEY}
Address = 10.0.0.2/32
[Peer]
PublicKey = {KEY}
Endpoint = vpn.example.com:51820
AllowedIPs = 0.0.0.0/0
"""


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


def vmess_json(**changes: object) -> str:
    return "vmess://" + b64(json.dumps({"add": "m.example.com", "port": 443, "id": UUID, "tls": "tls"} | changes))


def refused(link: str) -> str:
    with pytest.raises(LinkError) as caught:
        parse(link)
    return caught.value.reason


@pytest.mark.parametrize(
    ("link", "transport"),
    [
        (f"ss://{b64('aes-256-gcm:pw')}@h.example:1", Shadowsocks("h.example", 1, "aes-256-gcm", "pw")),
        (f"ss://{b64('aes-256-gcm:p@:/#w@h.example:1')}", Shadowsocks("h.example", 1, "aes-256-gcm", "p@:/#w")),
        ("ss://aes-256-gcm:p%3Aw@h.example:1", Shadowsocks("h.example", 1, "aes-256-gcm", "p:w")),
        (
            f"ss://{b64('aes-256-gcm:pw')}@h.example:1/?outline=1&prefix=%16%03%01#n",
            Shadowsocks("h.example", 1, "aes-256-gcm", "pw"),
        ),
        (
            f"ss://{b64('aes-256-gcm:pw')}@h.example:1/?plugin=simple-obfs%3Bobfs%3Dtls%3Bobfs-host%3Dc.example",
            Shadowsocks("h.example", 1, "aes-256-gcm", "pw", "obfs-local", "obfs=tls;obfs-host=c.example"),
        ),
        (
            f"ss://{b64('aes-256-gcm:pw')}@h.example:1/?plugin=v2ray-plugin%3Btls%3Bhost%3Dc.example%3Bpath%3D%2Fa%5C%3Bb",
            Shadowsocks("h.example", 1, "aes-256-gcm", "pw", "v2ray-plugin", r"tls;mode=websocket;host=c.example;path=/a\;b"),
        ),
        (
            f"vmess://{b64(f'auto:{UUID}@h.example:1')}?remarks=n&obfs=websocket&path=/a&obfsParam=c.example&tls=1&peer=s.example",
            Vmess("h.example", 1, UUID, "auto", Tls("s.example"), WebSocket("/a", "c.example")),
        ),
        (
            f"vmess://{b64(f'auto:{UUID}@h.example:1')}?obfs=websocket&obfsParam=%7B%22Host%22%3A%22c.example%22%7D",
            Vmess("h.example", 1, UUID, "auto", None, WebSocket("/", "c.example")),
        ),
        ("trojan-go://p@h.example?sni=s.example", Trojan("h.example", 443, "p", Tls("s.example"))),
        (
            "trojan-go://p@h.example:1/?type=ws&host=c.example&path=%2Fa",
            Trojan("h.example", 1, "p", Tls("c.example"), WebSocket("/a", "c.example")),
        ),
        ("hy2://h.example", Hysteria2("h.example", 443, "h.example", "")),
        ("hy2://u:p@h.example:7-9/", Hysteria2("h.example", 7, "h.example", "u:p", ((7, 9),))),
        (
            "hy2://p@h.example:1?mport=5-6&sni=s.example",
            Hysteria2("h.example", 1, "s.example", "p", ((1, 1), (5, 6))),
        ),
        ("trojan://p@h.example?peer=s.example", Trojan("h.example", 443, "p", Tls("s.example"))),
        (
            f"vless://{UUID}@h.example:443?security=reality&pbk={SAFE_KEY}&sni=s.example&flow=xtls-rprx-vision",
            Vless("h.example", 443, UUID, Reality("s.example", SAFE_KEY), flow="xtls-rprx-vision"),
        ),
        (
            f"vless://{UUID}@1.2.3.4:443?security=tls&type=ws&host=c.example:8443&path=%2Fa",
            Vless("1.2.3.4", 443, UUID, Tls("c.example"), WebSocket("/a", "c.example:8443")),
        ),
        (
            vmess_json(net="ws", path="a"),
            Vmess("m.example.com", 443, UUID, "auto", Tls("m.example.com"), WebSocket("/a", "m.example.com")),
        ),
    ],
)  # fmt: skip
def test_a_link_is_read(link: str, transport: object) -> None:
    assert parse(link).transport == transport


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("%F0%9F%87%B3%F0%9F%87%B1%20NL", "🇳🇱 NL"),
        ("🚀 fast", "🚀 fast"),
        ("%D8%AA%D9%87%D8%B1%D8%A7%D9%86", "تهران"),
        ("%E2%80%AEgnp.exe%E2%80%8B%00", "gnp.exe"),
        ("a%0Ab", "a b"),
        ("%FF", "\ufffd"),
        ("", "h.example"),
    ],
)
def test_a_name_survives_and_what_hides_in_it_does_not(written: str, read: str) -> None:
    assert parse(f"trojan://p@h.example#{written}").name == read


@pytest.mark.parametrize(
    ("host", "read"),
    [
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("h.example.", "h.example"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("[::ffff:192.0.2.1]", "192.0.2.1"),
    ],
)
def test_a_host_is_written_in_one_way(host: str, read: str) -> None:
    assert parse(f"trojan://p@{host}:1").transport.server == read


@pytest.mark.parametrize("host", ["", "a b", "a..b", "-a.b", "a_b", "1.2.3", "0x7f.1", "0.0.0.0", "[fe80::1%25eth0]",
                                  "[ff02::1]", "a%0ab", 'a"b', "a/b@c", "x" * 64, "[1", "1.2.3.4.5"])  # fmt: skip
def test_a_host_that_is_none_is_refused(host: str) -> None:
    assert (
        refused(f"trojan://p@{host}:1#n") if host != "a/b@c" else parse(f"trojan://p@{host}:1").transport.server == "c"
    )


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "\uff11\uff12", "1 2", "123456789012345678901234567890"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    assert "port" in refused(f"trojan://p@h.example:{port}")


@pytest.mark.parametrize("link", [
    "hy2://p@h.example?insecure=1",
    "hy2://p@h.example?insecure=1&pinSHA256=",
    f"vless://{UUID}@h.example:1?security=tls&allowInsecure=1&pcs=,",
    f"vless://{UUID}@h.example:1?security=reality&pbk={KEY}&sni=a.example&allowInsecure=1&pcs={'ab' * 32}",
    "trojan://p@h.example?allowInsecure=true",
    f"vless://{UUID}@h.example:1?security=tls&allowinsecure=1",
    vmess_json(insecure="1"),
    vmess_json(allowInsecure=True),
    vmess_json(**{"skip-cert-verify": True}),
])  # fmt: skip
def test_a_link_that_turns_certificate_checking_off_is_refused(link: str) -> None:
    assert "certificate checking off" in refused(link)


@pytest.mark.parametrize("link", [
    "hy2://p@h.example?insecure=0",
    f"hy2://p@h.example?insecure=1&pinSHA256={':'.join(['AB'] * 32)}",
    f"vless://{UUID}@h.example:1?security=tls&allowInsecure=1&pcs={'ab' * 32}",
    vmess_json(insecure=False),
    "trojan://p@h.example?allowInsecure=0&unheardof=1",
])  # fmt: skip
def test_a_link_that_says_checking_stays_on_is_read(link: str) -> None:
    assert parse(link)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        (f"ss://{b64('aes-256-gcm:pw')}@h.example:1/?plugin=kcptun%3Bmode%3Dfast", "plugin"),
        (f"ss://{b64('aes-256-gcm:pw')}@h.example:1/?plugin=%2Fbin%2Fsh", "plugin"),
        (f"ss://{b64('aes-256-gcm:pw')}@h.example:1/?plugin=v2ray-plugin%3Btls%3Bcert%3D%2Fetc%2Fshadow", "options"),
        (f"ss://{b64('aes-256-gcm:pw')}@h.example:1/?plugin=v2ray-plugin%3Btls", "host="),
        (f"ss://{b64('aes-256-gcm:pw')}@h.example:1/?plugin=v2ray-plugin%3Bmode%3Dquic", "mode"),
        (f"ss://{b64('aes-256-gcm:pw')}@h.example:1/?plugin=obfs-local%3Bobfs-host%3Da%0Ab", "host name"),
        (f"ss://{b64('rc4-md5:pw')}@h.example:1", "cipher"),
        (f"ss://{b64('none:pw')}@h.example:1", "cipher"),
        ("ss://2022-blake3-aes-128-gcm:c2hvcnQ%3D@h.example:1", "16 bytes"),
        (f"ss://{b64('aes-256-gcm:')}@h.example:1", "password"),
        ("hy2://p@h.example?pinSHA256=deadbeef", "pinSHA256"),
        ("hy2://p@h.example?obfs=salamander", "obfuscation password"),
        ("hy2://p@h.example:9-7", "backwards"),
        ("hy2://p@h.example?ech=AAAA", "ech="),
        (f"vless://{UUID}@h.example:1", "no encryption at all"),
        (f"vless://{UUID}@h.example:1?security=tls&type=carrier-pigeon", "network"),
        (f"vless://{UUID}@h.example:1?security=tls&fp=unsafe", "fingerprint"),
        (f"vless://{UUID}@h.example:1?security=tls&flow=x", "flow"),
        (f"vless://{UUID}@h.example:1?security=tls&type=ws&flow=xtls-rprx-vision", "Vision"),
        (f"vless://{UUID}@h.example:1?security=reality&pbk=AAAA", "32 bytes"),
        (f"vless://{UUID}@h.example:1?security=reality&pbk={SAFE_KEY}&sid=abc", "short id"),
        (f"vless://{UUID}@h.example:1?security=tls&security=none", "twice"),
        (f"vless://{UUID}@h.example:1?security=tls&encryption=x", "encryption"),
        ("vless://me@h.example:1?security=tls", "UUID"),
        (f"vless://{UUID}@h.example?security=tls", "port"),
        (f"vless://{UUID}@h.example:1?security=tls&type=ws&path=%2Fa%0d%0ab", "path"),
        (vmess_json(aid=64), "aid"),
        (vmess_json(tls="", scy="none"), "no encryption"),
        (vmess_json(port=443.5), "port"),
        (f"vmess://{b64(f'auto:{UUID}@h.example:1')}?alterId=64", "alterId"),
        (f"vmess://{b64(f'auto:{UUID}@h.example:1')}?obfs=mkcp", "network"),
        (f"vmess://{b64(f'auto:{UUID}@h.example:1')}?tls=1&allowInsecure=1", "certificate checking off"),
        ("vmess://" + b64("[" * 9000), "JSON"),
        ("trojan://p%00@h.example", "password"),
        ("trojan://p@h.example?security=none", "no encryption"),
        (f"wireguard://{SAFE_KEY}@h.example?publickey={SAFE_KEY}&address=10.0.0.2&reserved=1,2,3", "reserved"),
        ("ssr://abc", "ShadowsocksR"),
        ("nonsense://abc", "not supported"),
        ("hello", "not a share link"),
        ("trojan-go://p@h.example?encryption=ss%3Baes-128-gcm%3Bx", "encryption=ss"),
        ("trojan-go://p@h.example?type=h2", "network"),
        ("obfs4 192.0.2.1:443 0123456789012345678901234567890123456789 cert=x iat-mode=0", "cert="),
        ("client\ndev tun\nremote h.example 1194\n", "OpenVPN"),
        ("trojan://p@h.example\ntrojan://p@h.example", "several links"),
        ("x" * 20000, "longer"),
    ],
)  # fmt: skip
def test_a_link_is_refused_with_its_reason(link: str, reason: str) -> None:
    assert reason in refused(link)


def test_a_link_broken_by_a_chat_is_mended() -> None:
    broken = "\u200f\ufefftrojan://p@h.exa\r\n  mple:44\n3?sni=s.example#n \u200b"
    assert parse(broken).transport == Trojan("h.example", 443, "p", Tls("s.example"))


def test_a_wg_quick_file_is_read_and_nothing_in_it_is_kept_for_a_shell() -> None:
    conf = CONF.replace("[Peer]", "PostUp = rm -rf /\nDNS = 1.1.1.1\n[Peer]")
    found = parse("\ufeff" + conf).transport
    assert isinstance(found, WireGuard)
    assert (found.server, found.port, found.mtu, found.keepalive) == ("vpn.example.com", 51820, 1420, 0)
    assert "rm" not in str(asdict(found))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[Peer]", f"[Peer]\nPublicKey = {KEY}\n[Peer]", "several peers"),
        ("[Peer]", "Jc = 400\n[Peer]", "AmneziaWG's Jc"),
        ("[Peer]", "Jc = 4\nJmin = 90\nJmax = 50\n[Peer]", "Jmin is larger"),
        ("[Peer]", "S1 = 9000\n[Peer]", "AmneziaWG's S1"),
        ("[Peer]", "H1 = 5-10\nH4 = 10\n[Peer]", "overlap"),
        ("[Peer]", "H1 = 10-5\n[Peer]", "AmneziaWG's H1"),
        ("[Peer]", "H1 = 4294967296\n[Peer]", "AmneziaWG's H1"),
        ("[Peer]", "I1 = <b 0xabc>\n[Peer]", "AmneziaWG's I1"),
        ("[Peer]", "I1 = <r 4>$(reboot)\n[Peer]", "AmneziaWG's I1"),
        ("[Peer]", "I5 = <r 1400><rd 200>\n[Peer]", "longer than 1500"),
        ("[Peer]", "HeaderProtectionKey = short\n[Peer]", "HeaderProtectionKey"),
        ("[Peer]", "RekeyAfterTime = 1-70000\n[Peer]", "16 bits"),
        ("[Peer]", "RandomTrailers = maybe\n[Peer]", "RandomTrailers"),
        ("[Peer]", "J1 = <r 4>\n[Peer]", "given up"),
        ("[Peer]", "H1 = 4\n[Peer]", "overlap"),
        ("[Peer]", "S4 = 141\n[Peer]", "AmneziaWG's S4"),
        ("[Peer]", f"S1 = 20\nHeaderProtectionKey = {KEY}\n[Peer]", "S1 to S4 of 12"),
        ("Endpoint", "Other", "Endpoint"),
        (f"PublicKey = {KEY}", "PublicKey = short", "PublicKey"),
        (f"PublicKey = {KEY}", f"PublicKey = {KEY}\nPublicKey = {KEY}", "PublicKey"),
        ("10.0.0.2/32", "10.0.0.2/99", "Address"),
        ("[Peer]", "MTU = 9000\n[Peer]", "MTU"),
        ("AllowedIPs", "AllowedIPs = ::/0\nnonsense", "wg-quick file"),
    ],
)
def test_a_wg_quick_file_is_refused_with_its_reason(old: str, new: str, reason: str) -> None:
    if new.endswith("nonsense"):
        new = "nonsense\nAllowedIPs"
    assert reason in refused(CONF.replace(old, new, 1))


def test_a_file_of_amneziawg_that_hides_nothing_is_wireguards() -> None:
    """As for WARP's servers, which are WireGuard's."""
    names = "Jc = 0\nJmin = 40\nJmax = 70\nS1 = 0\nS2 =\nH1 = 1\nH2 = 2\nH3 = 3\nH4 = 4\nI1 =\nItime = 0\nRandomTrailers = off\n"
    assert parse(CONF.replace("[Peer]", names + "[Peer]")).transport == parse(CONF).transport


def test_amneziawg_is_read_whole_and_written_anew_with_room_for_what_goes_ahead() -> None:
    names = "jc = 4\nJmax = 070\nS4 = 20\nH2 = 7 - 9\nI1 = <B 0xC3>  <r 08><c>\nKeepaliveTimeout = 5-5\nRandomTrailers = 1\n"
    conf = CONF.replace("[Peer]", names + "[Peer]") + "PersistentKeepalive = 22-30\n"
    found = parse(conf).transport
    assert isinstance(found, AmneziaWg)
    assert (found.mtu, found.keepalive) == (1400, 22)
    assert dict(found.terms) == {
        "Jc": "4", "Jmax": "70", "S4": "20", "H2": "7-9", "I1": "<b 0xc3><r 8><c>", "KeepaliveTimeout": "5", "RandomTrailers": "on",
    }  # fmt: skip
    assert getattr(parse(conf.replace("[Peer]", "MTU = 1420\n[Peer]")).transport, "mtu", 0) == 1420


@pytest.mark.parametrize("scheme", ["awg", "amneziawg"])
def test_an_amneziawg_link_is_like_a_wireguard_link_or_the_file_in_base64(scheme: str) -> None:
    """The first is Hiddify's, the second of 3x-ui's panels."""
    conf = CONF.replace("[Peer]", "Jc = 4\nJmin = 10\nJmax = 50\nH1 = 7-9\n[Peer]")
    named = parse(f"{scheme}://{b64(conf)}#home")
    assert (named.name, named.transport) == ("home", parse(conf).transport)
    named = parse(f"{scheme}://{SAFE_KEY}@h.example:5/?peerpublickey={SAFE_KEY}&ip=10.0.0.2/32&Jc=4&jmin=10&jmax=50&h1=7-9")
    assert getattr(named.transport, "terms", ()) == (("Jc", "4"), ("Jmin", "10"), ("Jmax", "50"), ("H1", "7-9"))
    assert "base64" in refused(f"{scheme}://_w")


def test_a_wireguard_link_is_read() -> None:
    link = f"wireguard://{SAFE_KEY}@h.example:5?publickey={SAFE_KEY}&address=10.0.0.2/32,fd00::2&reserved=0,0,0"
    found = parse(link).transport
    assert isinstance(found, WireGuard)
    assert (found.private_key, [str(a) for a in found.addresses]) == (KEY, ["10.0.0.2/32", "fd00::2/128"])
