"""One target for each form: bytes in, a text of that form out, and what must hold of it. Seeds and words of the form."""

from __future__ import annotations

import json
import struct
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routerd.desync.prior import HTTP, QUIC, TLS
from routerd.links.yaml import tree
from tests.fuzz.checks import check, check_one
from tests.fuzz.packets import CONVERSATIONS, PACKETS, conversations, packets, strategies

GOLDEN = Path(__file__).parents[1] / "golden" / "engines"
LINKS = [path.read_text().strip() for path in sorted(GOLDEN.glob("*/link.txt"))]
CONFS = [path.read_text() for path in sorted(GOLDEN.glob("*/wg.conf"))]
UUID, KEY = "b831381d-6324-4d53-ad4f-8cda48b30811", "jNXHt1yRo0vDuchQlIP6Z0ZvjT3KtzVI-T4E7RoLJS0"
WORDS = ["vless://", "ss://", "?", "#", "@", ":", "%", "%0a", "&", "=", "security=", "tls", "reality", "type=", "ws", "::1", UUID, KEY,
         "plugin=", "obfs-local;", "v2ray-plugin;", "\\;", "\u202e", "\u2028", "insecure=1", "//", "443", "0x7f.1", "xn--",
         "desync://", "split(", "fake(", "around(", "overlap(", "disorder", "hostcase", "decoys(", "midsld", "sniext", "ttl=", "badseq", ",x3)"]  # fmt: skip

YAML = f"""proxies:
  - {{name: a, type: ss, server: a.example, port: 443, cipher: aes-256-gcm, password: x, plugin: obfs, plugin-opts: {{mode: tls}}}}
  - &b
    name: b
    type: vless
    server: b.example
    port: 443
    uuid: {UUID}
    tls: true
    reality-opts: {{public-key: {KEY}, short-id: 01}}
  - {{<<: *b, name: c, network: ws, ws-opts: {{path: /, headers: {{Host: c}}}}}}
  - {{name: d, type: hysteria2, server: d.example, port: 1, ports: 1-2, password: x, obfs: salamander, obfs-password: y}}
"""
SINGBOX = {"outbounds": [
    {"type": "vless", "tag": "a", "server": "a.example", "server_port": 443, "uuid": UUID,
     "tls": {"enabled": True, "server_name": "b.example", "reality": {"enabled": True, "public_key": KEY, "short_id": "01"}}},
    {"type": "shadowsocks", "tag": "b", "method": "aes-256-gcm", "password": "x", "detour": "c"},
    {"type": "shadowtls", "tag": "c", "server": "c.example", "server_port": 1, "version": 3, "password": "y", "tls": {"enabled": True}},
    {"type": "trojan", "tag": "d", "server": "1.2.3.4", "server_port": 443, "password": "p", "tls": {"enabled": True},
     "transport": {"type": "ws", "path": "/a", "headers": {"Host": ["c.example"]}}}],
    "endpoints": [{"type": "wireguard", "tag": "w", "address": ["10.0.0.2/32"], "private_key": KEY, "mtu": 1400,
                   "peers": [{"address": "w.example", "port": 1, "public_key": KEY, "reserved": [0, 0, 0]}]}]}  # fmt: skip
XRAY = {"remarks": "r", "outbounds": [
    {"tag": "proxy", "protocol": "vless", "settings": {"vnext": [{"address": "a.example", "port": 443, "users": [{"id": UUID}]}]},
     "streamSettings": {"network": "ws", "security": "tls", "tlsSettings": {"serverName": "s.example"}, "wsSettings": {"path": "/"}}},
    {"tag": "t", "protocol": "trojan", "settings": {"servers": [{"address": "b.example", "port": 1, "password": "p"}]},
     "streamSettings": {"security": "reality", "realitySettings": {"publicKey": KEY, "serverName": "s.example"}}}]}  # fmt: skip
SIP008 = {"version": 1, "servers": [{"remarks": "a", "server": "a.example", "server_port": 1, "method": "aes-256-gcm", "password": "p",
                                     "plugin": "v2ray-plugin", "plugin_opts": "tls;host=b.example"}]}  # fmt: skip
OUTLINE = """transport:
  $type: tcpudp
  tcp: &t {$type: shadowsocks, endpoint: "a.example:1", cipher: aes-256-gcm, secret: x, prefix: "POST "}
  udp: *t
"""
AMNEZIA = {"containers": [{"container": "amnezia-wireguard", "wireguard": {"last_config": json.dumps({"config": CONFS[0]})}},
                          {"container": "amnezia-xray", "xray": {"last_config": json.dumps(XRAY)}}], "description": "d"}  # fmt: skip
WRAPPED = ["clash://install-config?url=https%3A%2F%2Fa.example%2Fs", "hiddify://import/https://a.example/s#n", "ssconf://a.example/k",
           "sub://" + b64encode(b"https://a.example/s").decode(), "happ://crypt3/x", "https://u:p@a.example:1", "https://a.example/s"]  # fmt: skip
BRIDGES = ["obfs4 192.0.2.1:443 0123456789012345678901234567890123456789 cert=x iat-mode=0", "Bridge 192.0.2.3:80", "Days left: 12"]
OVPN = "client\ndev tun\nproto udp\nremote h.example 1194\n<ca>\nx\n</ca>\n"


@dataclass(frozen=True, slots=True)
class Target:
    """`seeds`: whole texts, or bytes, to begin with. `text`: what the fuzzer's bytes become."""

    seeds: Sequence[str | bytes]
    text: Callable[[bytes], Any]
    holds: Callable[[Any], None] = check


def plain(data: bytes) -> str:
    return data.decode(errors="replace")


def spoiling(document: object, written: Callable[[object], str]) -> Callable[[bytes], str]:
    """Text as it comes; or, when the first byte is none of ASCII, the document with one value made into another."""

    def text(data: bytes) -> str:
        if len(data) < 4 or data[0] < 0x80:
            return plain(data)
        found = json.loads(json.dumps(document))
        places = list(leaves(found))
        holder, key = places[data[1] % len(places)]
        value = plain(data[3:])
        others = (value, [value], {value: value}, None, True, len(data), -1, 1.5, [], {}, [[value]], value + str(holder[key]))
        holder[key] = others[data[2] % len(others)]
        return written(found)

    return text


def leaves(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Each value of a tree, by what holds it and its key there."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from leaves(tree[key])


def base64(data: bytes) -> str:
    return (b64encode if data[:1] < b"\x80" else urlsafe_b64encode)(data[1:]).decode()


def key(data: bytes) -> str:
    """The JSON of an Amnezia key, packed as its app packs it; or the packed bytes as they come."""
    if data[:1] >= b"\x80":
        data = spoiling(AMNEZIA, json.dumps)(data).encode(errors="replace")
    packed = struct.pack(">I", len(data)) + zlib.compress(data) if data[:1] != b"\0" else data
    return "vpn://" + urlsafe_b64encode(packed).decode().rstrip("=")


def listed(texts: list[str]) -> list[str]:
    return ["\n".join(texts), "\n".join(texts[:2]), *texts]


ENTRIES = tree(YAML)
SPOILT = ["é\x01\x02text", "é\x05\x0b%0a", "é\x07\x02\u2028"]

TARGETS: dict[str, Target] = {
    "link": Target(LINKS, plain, check_one),
    "wg_quick": Target(CONFS, plain),
    "lines": Target(listed(LINKS), plain),
    "base64": Target(["a" + text for text in listed(LINKS)], base64),
    "clash": Target([YAML, *SPOILT], spoiling(ENTRIES, lambda found: "proxies: " + json.dumps(found.get("proxies")))),
    "singbox": Target([json.dumps(SINGBOX), *SPOILT], spoiling(SINGBOX, json.dumps)),
    "xray": Target([json.dumps(XRAY), json.dumps([XRAY]), *SPOILT], spoiling(XRAY, json.dumps)),
    "sip008": Target([json.dumps(SIP008), json.dumps(SIP008["servers"]), *SPOILT], spoiling(SIP008, json.dumps)),
    "outline": Target([OUTLINE, *SPOILT], spoiling(tree(OUTLINE), lambda found: "transport: " + json.dumps(found.get("transport", found)))),
    "amnezia": Target([json.dumps(AMNEZIA), *SPOILT], key),
    "wrapper": Target(listed(WRAPPED), plain),
    "bridges_and_ovpn": Target([OVPN, *listed(BRIDGES)], plain),
    "strategy": Target([*TLS, *HTTP, *QUIC, "auto"], plain, strategies),
    "packet": Target(PACKETS, bytes, packets),
    "conversation": Target(CONVERSATIONS, bytes, conversations),
}
