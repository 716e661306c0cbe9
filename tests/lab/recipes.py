"""Transport servers as data: one function per kind gives the server's inbound, a plain client's outbound and the link.

Link grammars: SIP002/SIP022 (ss), hysteria-website URI-Scheme (hysteria2), XTLS/Xray-core discussions/716 (vless),
v2rayN wiki (vmess), trojan-gfw/trojan-url (trojan). Secrets are made per run.
"""

import json
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import quote, urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from .networks import NETWORKS
from .proxies import PROXIES
from .pki import authority
from .recipe import Json, Recipe, Seat, b64, bracket, client_tls, reality, server_tls, url64, vless, xray

__all__ = ["RECIPES", "Json", "Recipe", "Seat", "bracket"]


def _shadowsocks(method: str, password: str, userinfo: str, name: str, port: int = 8388) -> Recipe:
    common = {"type": "shadowsocks", "method": method, "password": password}
    return Recipe("sing-box", port, ("tcp", "udp"), {**common, "listen": "::", "listen_port": port},
                  lambda host: {**common, "server": host, "server_port": port},
                  lambda host: f"ss://{userinfo}@{bracket(host)}:{port}#{name}")


def ss(seat: Seat) -> Recipe:
    method, password = "chacha20-ietf-poly1305", secrets.token_urlsafe(12)
    return _shadowsocks(method, password, url64(f"{method}:{password}".encode()), "ss")


def ss2022(seat: Seat) -> Recipe:
    method, password = "2022-blake3-aes-128-gcm", b64(secrets.token_bytes(16))
    return _shadowsocks(method, password, f"{method}:{quote(password, safe='')}", "ss2022")


def _hysteria2(seat: Seat, name: str, obfs: str | None, more: Mapping[str, str] = {}) -> Recipe:
    password = secrets.token_urlsafe(12)
    extra = {"obfs": {"type": "salamander", "password": obfs}} if obfs else {}
    tls = {"enabled": True, "alpn": ["h3"]}
    inbound = {"type": "hysteria2", "listen": "::", "listen_port": 443, "users": [{"password": password}], **extra,
               "tls": {**tls, "certificate_path": str(seat.cert.cert), "key_path": str(seat.cert.key)}}
    query = urlencode({"sni": seat.hostname, **({"obfs": "salamander", "obfs-password": obfs} if obfs else {}), **more})
    trusted = {"certificate_path": str(seat.ca)} if more else {}
    return Recipe("sing-box", 443, ("udp",), inbound,
                  lambda host: {"type": "hysteria2", "server": host, "server_port": 443, "password": password, **extra,
                                "tls": {**tls, **trusted, "server_name": seat.hostname}},
                  lambda host: f"hysteria2://{password}@{bracket(host)}:443/?{query}#{name}")


def hysteria2(seat: Seat) -> Recipe:
    return _hysteria2(seat, "hysteria2", None)


def hysteria2_obfs(seat: Seat) -> Recipe:
    return _hysteria2(seat, "hysteria2-obfs", secrets.token_urlsafe(8))


def hysteria2_pinned(seat: Seat) -> Recipe:
    """As people set it up at home: a certificate that nobody has signed, and its hash in the link. The server is sing-box."""
    folder = seat.cert.cert.parent / "pinned"
    folder.mkdir(exist_ok=True)
    nobody = authority(folder, "nobody")
    cert = nobody.issue(folder, "server", ["www.bing.com"])
    digest = x509.load_pem_x509_certificate(cert.cert.read_bytes()).fingerprint(hashes.SHA256()).hex(":").upper()
    return _hysteria2(replace(seat, cert=cert, ca=nobody.file, hostname="www.bing.com"), "hysteria2-pinned", secrets.token_urlsafe(8),
                      {"insecure": "1", "pinSHA256": digest})


def vless_tls(seat: Seat) -> Recipe:
    query = {"type": "tcp", "security": "tls", "sni": seat.hostname}
    return vless(seat, "vless-tls", "xtls-rprx-vision", {"network": "tcp", **server_tls(seat, "h2", "http/1.1")},
                  {"network": "tcp", **client_tls(seat)}, query)


def vless_ws(seat: Seat) -> Recipe:
    path = f"/{secrets.token_hex(4)}"
    ws = {"network": "ws", "wsSettings": {"path": path, "host": seat.hostname}}
    query = {"type": "ws", "security": "tls", "sni": seat.hostname, "path": path, "host": seat.hostname}
    return vless(seat, "vless-ws", "", {**ws, **server_tls(seat, "http/1.1")}, {**ws, **client_tls(seat)}, query)


def vless_reality(seat: Seat) -> Recipe:
    server, client, query = reality()
    return vless(seat, "vless-reality", "xtls-rprx-vision", {"network": "tcp", **server}, {"network": "tcp", **client},
                 {"type": "tcp", **query})


def vmess_ws(seat: Seat) -> Recipe:
    user, path = str(uuid.uuid4()), f"/{secrets.token_hex(4)}"
    ws = {"network": "ws", "wsSettings": {"path": path, "host": seat.hostname}}

    def link(host: str) -> str:
        fields = {"v": "2", "ps": "vmess-ws", "add": host, "port": "443", "id": user, "aid": "0", "scy": "auto",
                  "net": "ws", "type": "none", "host": seat.hostname, "path": path, "tls": "tls",
                  "sni": seat.hostname, "alpn": "", "fp": "chrome"}
        return "vmess://" + b64(json.dumps(fields).encode())

    return xray("vmess", {"clients": [{"id": user}]}, {**ws, **server_tls(seat, "http/1.1")},
                 lambda host: {"vnext": [{"address": host, "port": 443, "users": [{"id": user, "security": "auto"}]}]},
                 {**ws, **client_tls(seat)}, link)


def trojan(seat: Seat) -> Recipe:
    password = secrets.token_urlsafe(12)
    query = urlencode({"security": "tls", "sni": seat.hostname, "type": "tcp", "fp": "chrome"})
    return xray("trojan", {"clients": [{"password": password}]},
                 {"network": "tcp", **server_tls(seat, "h2", "http/1.1")},
                 lambda host: {"servers": [{"address": host, "port": 443, "password": password}]},
                 {"network": "tcp", **client_tls(seat)},
                 lambda host: f"trojan://{password}@{bracket(host)}:443?{query}#trojan")


def _wg_keys() -> tuple[str, str]:
    key = X25519PrivateKey.generate()
    raw = serialization.Encoding.Raw
    private = key.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    return b64(private), b64(key.public_key().public_bytes(raw, serialization.PublicFormat.Raw))


def wireguard(seat: Seat) -> Recipe:
    """The link is a wg-quick file; the inbound is what `wg setconf` takes."""
    (server, server_public), (client, client_public) = _wg_keys(), _wg_keys()
    shared = b64(secrets.token_bytes(32))
    conf = (f"[Interface]\nPrivateKey = {server}\nListenPort = 51820\n[Peer]\nPublicKey = {client_public}\n"
            f"PresharedKey = {shared}\nAllowedIPs = 10.9.0.2/32, fd09::2/128\n")

    def link(host: str) -> str:
        return (f"[Interface]\nPrivateKey = {client}\nAddress = 10.9.0.2/32, fd09::2/128\nDNS = 192.0.2.53\n\n"
                f"[Peer]\nPublicKey = {server_public}\nPresharedKey = {shared}\nAllowedIPs = 0.0.0.0/0, ::/0\n"
                f"Endpoint = {bracket(host)}:51820\n")

    def endpoint(host: str) -> Json:
        peer = {"address": host, "port": 51820, "public_key": server_public, "pre_shared_key": shared,
                "allowed_ips": ["0.0.0.0/0", "::/0"]}
        return {"type": "wireguard", "address": ["10.9.0.2/32", "fd09::2/128"], "private_key": client, "peers": [peer]}

    return Recipe("wireguard", 51820, ("udp",), {"conf": conf}, endpoint, link)


# The number is the last part of both addresses: 203.0.113.N and 2001:db8:113::N.
RECIPES: dict[str, tuple[int, Callable[[Seat], Recipe]]] = {
    "ss": (11, ss), "ss2022": (12, ss2022), "hysteria2": (13, hysteria2), "hysteria2-obfs": (14, hysteria2_obfs),
    "vless-tls": (15, vless_tls), "vless-reality": (16, vless_reality), "vless-ws": (17, vless_ws),
    "vmess-ws": (18, vmess_ws), "trojan": (19, trojan), "wireguard": (20, wireguard),
    "hysteria2-pinned": (64, hysteria2_pinned),
    **PROXIES, **NETWORKS,
}
