"""Xray's networks under VLESS, VMess, Trojan and Shadowsocks, as recipes (see recipe.py)."""

import json
import secrets
import uuid
from collections.abc import Callable
from urllib.parse import quote, urlencode

from .recipe import Json, Recipe, Seat, bracket, client_tls, reality, server_tls, url64, vless, xray

# What a panel writes, and for a client to keep: small posts, so that one page needs several.
EXTRA = {"xPaddingBytes": "200-400", "scMaxEachPostBytes": 20000, "noGRPCHeader": True,
         "xmux": {"maxConcurrency": "4-8"}, "headers": {"Accept-Language": "de"}}


def _over_tls(seat: Seat, name: str, ride: Json, query: dict[str, str], *alpn: str) -> Recipe:
    client = client_tls(seat)
    client["tlsSettings"]["alpn"] = list(alpn)
    return vless(seat, name, "", {**ride, **server_tls(seat, *alpn)}, {**ride, **client},
                 {"security": "tls", "sni": seat.hostname, "alpn": ",".join(alpn), **query})


def vless_grpc(seat: Seat) -> Recipe:
    service = secrets.token_hex(4)
    ride = {"network": "grpc", "grpcSettings": {"serviceName": service, "multiMode": True}}
    return _over_tls(seat, "vless-grpc", ride, {"type": "grpc", "serviceName": service, "mode": "multi"}, "h2")


def vless_httpupgrade(seat: Seat) -> Recipe:
    path = f"/{secrets.token_hex(4)}"
    ride = {"network": "httpupgrade", "httpupgradeSettings": {"path": path, "host": seat.hostname}}
    query = {"type": "httpupgrade", "path": path, "host": seat.hostname}
    return _over_tls(seat, "vless-httpupgrade", ride, query, "http/1.1")


def _xhttp(seat: Seat, name: str, mode: str, extra: Json, *alpn: str) -> Recipe:
    path = f"/{secrets.token_hex(4)}"
    ride = {"network": "xhttp", "xhttpSettings": {"path": path, "mode": mode, "host": seat.hostname, **extra}}
    query = {"type": "xhttp", "path": path, "mode": mode, "host": seat.hostname,
             **({"extra": json.dumps(extra)} if extra else {})}
    return _over_tls(seat, name, ride, query, *alpn)


def vless_xhttp(seat: Seat) -> Recipe:
    return _xhttp(seat, "vless-xhttp", "auto", {}, "h2")


def vless_xhttp_packets(seat: Seat) -> Recipe:
    return _xhttp(seat, "vless-xhttp-packets", "packet-up", EXTRA, "h2")


def vless_xhttp_stream(seat: Seat) -> Recipe:
    return _xhttp(seat, "vless-xhttp-stream", "stream-up", {}, "h2")


def vless_xhttp_h3(seat: Seat) -> Recipe:
    made = _xhttp(seat, "vless-xhttp-h3", "auto", {}, "h3")
    return Recipe(made.engine, made.port, ("udp",), made.inbound, made.client, made.link)


def vless_xhttp_reality(seat: Seat) -> Recipe:
    server, client, query = reality()
    path = f"/{secrets.token_hex(4)}"
    ride = {"network": "xhttp", "xhttpSettings": {"path": path, "mode": "stream-one"}}
    return vless(seat, "vless-xhttp-reality", "", {**ride, **server}, {**ride, **client},
                 {"type": "xhttp", "path": path, "mode": "stream-one", **query})


def vmess_httpupgrade(seat: Seat) -> Recipe:
    """Without TLS: VMess has a cipher of its own."""
    user, path = str(uuid.uuid4()), f"/{secrets.token_hex(4)}"
    ride = {"network": "httpupgrade", "httpupgradeSettings": {"path": path, "host": seat.hostname}}
    query = urlencode({"type": "httpupgrade", "path": path, "host": seat.hostname, "encryption": "auto"},
                      quote_via=quote)
    return xray("vmess", {"clients": [{"id": user}]}, ride,
                lambda host: {"vnext": [{"address": host, "port": 443, "users": [{"id": user, "security": "auto"}]}]},
                ride, lambda host: f"vmess://{user}@{bracket(host)}:443?{query}#vmess-httpupgrade")


def trojan_grpc(seat: Seat) -> Recipe:
    password, service = secrets.token_urlsafe(12), secrets.token_hex(4)
    ride = {"network": "grpc", "grpcSettings": {"serviceName": service}}
    query = urlencode({"security": "tls", "sni": seat.hostname, "type": "grpc", "serviceName": service})
    return xray("trojan", {"clients": [{"password": password}]}, {**ride, **server_tls(seat, "h2")},
                lambda host: {"servers": [{"address": host, "port": 443, "password": password}]},
                {**ride, **client_tls(seat)},
                lambda host: f"trojan://{password}@{bracket(host)}:443?{query}#trojan-grpc")


def ss_v2ray(seat: Seat) -> Recipe:
    """Shadowsocks with v2ray-plugin: on the wire, Shadowsocks over a WebSocket, which Xray serves by itself."""
    method, password, path = "aes-256-gcm", secrets.token_urlsafe(12), f"/{secrets.token_hex(4)}"
    ride = {"network": "ws", "wsSettings": {"path": path, "host": seat.hostname}}
    plugin = quote(f"v2ray-plugin;tls;host={seat.hostname};path={path};mux=0", safe="")
    user = url64(f"{method}:{password}".encode())
    return xray("shadowsocks", {"method": method, "password": password, "network": "tcp"},
                {**ride, **server_tls(seat, "http/1.1")},
                lambda host: {"servers": [{"address": host, "port": 443, "method": method, "password": password}]},
                {**ride, **client_tls(seat)},
                lambda host: f"ss://{user}@{bracket(host)}:443/?plugin={plugin}#ss-v2ray")


NETWORKS: dict[str, tuple[int, Callable[[Seat], Recipe]]] = {
    "vless-grpc": (29, vless_grpc), "vless-httpupgrade": (30, vless_httpupgrade), "vless-xhttp": (31, vless_xhttp),
    "vless-xhttp-packets": (32, vless_xhttp_packets), "vless-xhttp-stream": (33, vless_xhttp_stream),
    "vless-xhttp-h3": (34, vless_xhttp_h3), "vless-xhttp-reality": (35, vless_xhttp_reality),
    "vmess-httpupgrade": (36, vmess_httpupgrade), "trojan-grpc": (37, trojan_grpc),
    "ss-v2ray": (40, ss_v2ray),
}
