"""The kinds that sing-box carries beside Shadowsocks and Hysteria2, as recipes (see recipe.py); SSH's server is OpenSSH."""

import secrets
import uuid
from collections.abc import Callable
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .recipe import Json, Recipe, Seat, bracket, url64
from .topology import FRONT, SITE

SSHD = """
Port 22
UsePAM no
StrictModes no
PasswordAuthentication no
AllowTcpForwarding yes
PidFile none
"""


def _sing_box(kind: str, port: int, proto: str, server: Json, client: Json, link: Callable[[str], str]) -> Recipe:
    return Recipe("sing-box", port, (proto,), {"type": kind, "listen": "::", "listen_port": port, **server},
                  lambda host: {"type": kind, "server": host, "server_port": port, **client}, link)


def _tls(seat: Seat, *alpn: str) -> tuple[Json, Json]:
    """The server's and a client's."""
    both = {"enabled": True, **({"alpn": list(alpn)} if alpn else {})}
    return ({"tls": {**both, "certificate_path": str(seat.cert.cert), "key_path": str(seat.cert.key)}},
            {"tls": {**both, "server_name": seat.hostname}})


def tuic(seat: Seat) -> Recipe:
    (server, client), user = _tls(seat, "h3"), {"uuid": str(uuid.uuid4()), "password": secrets.token_urlsafe(12)}
    query = urlencode({"sni": seat.hostname, "alpn": "h3", "congestion_control": "bbr", "udp_relay_mode": "native"})
    return _sing_box("tuic", 443, "udp", {"users": [user], "congestion_control": "bbr", **server}, {**user, **client},
                     lambda host: f"tuic://{user['uuid']}:{user['password']}@{bracket(host)}:443?{query}#tuic")


def anytls(seat: Seat) -> Recipe:
    (server, client), user = _tls(seat), {"password": secrets.token_urlsafe(12)}
    return _sing_box("anytls", 443, "tcp", {"users": [user], **server}, {**user, **client},
                     lambda host: f"anytls://{user['password']}@{bracket(host)}:443/?sni={seat.hostname}#anytls")


def hysteria(seat: Seat) -> Recipe:
    (server, client), auth, obfs = _tls(seat, "hysteria"), secrets.token_urlsafe(12), secrets.token_urlsafe(8)
    rates = {"up_mbps": 200, "down_mbps": 200, "obfs": obfs}
    query = urlencode({"auth": auth, "peer": seat.hostname, "upmbps": 200, "downmbps": 200, "alpn": "hysteria",
                       "obfs": "xplus", "obfsParam": obfs})
    return _sing_box("hysteria", 443, "udp", {"users": [{"auth_str": auth}], **rates, **server},
                     {"auth_str": auth, **rates, **client},
                     lambda host: f"hysteria://{bracket(host)}:443?{query}#hysteria")


def shadowtls(seat: Seat) -> Recipe:
    """The handshake is front.example's own; Shadowsocks is inside."""
    front, cover, password = SITE[FRONT], secrets.token_urlsafe(12), secrets.token_urlsafe(12)
    inner = {"type": "shadowsocks", "method": "aes-256-gcm", "password": password}
    plugin = quote(f"shadow-tls;host={front.name};password={cover};version=3", safe="")
    user = url64(f"aes-256-gcm:{password}".encode())
    server = {"type": "shadowtls", "listen": "::", "listen_port": 443, "version": 3, "users": [{"password": cover}],
              "handshake": {"server": front.address4, "server_port": 443}, "strict_mode": True, "detour": "in1"}
    return Recipe("sing-box", 443, ("tcp",), server,
                  lambda host: {**inner, "server": host, "server_port": 443, "detour": "out1"},
                  lambda host: f"ss://{user}@{bracket(host)}:443/?plugin={plugin}#shadowtls",
                  ({**inner, "tag": "in1", "listen": "127.0.0.1", "listen_port": 4433},),
                  lambda host: ({"type": "shadowtls", "server": host, "server_port": 443, "version": 3,
                                 "password": cover, "tls": {"enabled": True, "server_name": front.name}},))


def ssh(seat: Seat) -> Recipe:
    """A server with two keys, of which the link knows the one that a client would be shown last."""
    shown, known, user = ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    files = {"host_ecdsa": _private(shown), "host_ed25519": _private(known), "authorized_keys": _public(user)}
    body = "".join(_private(user).splitlines()[1:-1])
    query = urlencode({"hk": _public(known), "pk": body}, quote_via=quote)
    return Recipe("sshd", 22, ("tcp",), {"files": files, "config": SSHD},
                  lambda host: {"type": "ssh", "server": host, "server_port": 22, "user": "root",
                                "private_key": _private(user), "host_key": [_public(known)],
                                "host_key_algorithms": ["ssh-ed25519"]},
                  lambda host: f"ssh://root@{bracket(host)}:22/?{query}#ssh")


def _private(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> str:
    form = serialization.PrivateFormat.OpenSSH
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _public(key: Ed25519PrivateKey) -> str:
    form = serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, form).decode()


def _proxy(kind: str, port: int, link: str, more: Json, server: Json, client: Json) -> Recipe:
    """With a user and a password; `link`: all of it before the user's name."""
    user = {"username": "me", "password": secrets.token_urlsafe(12)}
    return _sing_box(kind, port, "tcp", {"users": [user], **server}, {**user, **more, **client},
                     lambda host: f"{link}me:{user['password']}@{bracket(host)}:{port}#{kind}")


def socks5(seat: Seat) -> Recipe:
    return _proxy("socks", 1080, "socks5://", {"version": "5"}, {}, {})


def socks4(seat: Seat) -> Recipe:
    return _sing_box("socks", 1080, "tcp", {}, {"version": "4"}, lambda host: f"socks4://{bracket(host)}:1080#socks4")


def http(seat: Seat) -> Recipe:
    return _proxy("http", 3128, "http://", {}, {}, {})


def https(seat: Seat) -> Recipe:
    server, client = _tls(seat)
    made = _proxy("http", 443, "https://", {}, server, client)
    return Recipe(made.engine, made.port, made.protos, made.inbound, made.client,
                  lambda host: made.link(host).replace("#", f"?sni={seat.hostname}#"))


PROXIES: dict[str, tuple[int, Callable[[Seat], Recipe]]] = {
    "tuic": (21, tuic), "anytls": (22, anytls), "shadowtls": (23, shadowtls), "hysteria": (24, hysteria),
    "ssh": (25, ssh), "socks5": (26, socks5), "socks4": (27, socks4), "http": (28, http), "https": (38, https),
}
