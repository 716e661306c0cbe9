"""What VLESS, VMess and Trojan links share: the network they ride on, and the TLS around it."""

from __future__ import annotations

import re

from routerd.links import wall
from routerd.links.uri import Query, refuse_insecure
from routerd.links.wall import LinkError
from routerd.links.xhttp import judged
from routerd.transports.xray import Grpc, HttpUpgrade, Network, Reality, Security, Tls, WebSocket, Xhttp

FINGERPRINTS = ("chrome", "firefox", "safari", "ios", "android", "edge", "360", "qq", "random", "randomized")
NETWORKS = ("tcp", "raw", "ws", "httpupgrade", "grpc", "xhttp", "splithttp")
XHTTP_MODES = ("auto", "packet-up", "stream-up", "stream-one")
_KCP = "The link's network is mKCP: UDP in a disguise (headerType, seed) that this Xray no longer has; ask for xhttp."
_GONE = "The link's network is {}, which Xray no longer has; ask its owner for one with xhttp."
REFUSED = {"kcp": _KCP, "mkcp": _KCP, "quic": _GONE.format("QUIC")} | {
    name: _GONE.format("HTTP/2") for name in ("http", "h2")
}
ALPN = ("h2", "http/1.1", "h3")
MLDSA65_BYTES = 1952


def riding(query: Query, server: str, default: str) -> tuple[Security, Network]:
    """The two together: not every network goes inside everything. `default`, `server`: as in `security`."""
    around, inside = security(query, server, default), network(query, server)
    if isinstance(around, Reality) and isinstance(inside, WebSocket | HttpUpgrade):
        raise LinkError("REALITY goes around plain TCP, gRPC or XHTTP; for ws and httpupgrade TLS is needed.")
    return around, inside


def network(query: Query, server: str) -> Network:
    """`server` is who the HTTP request is for, when neither `host` nor the TLS name says so."""
    chosen = query.get("type") or "tcp"
    if chosen in REFUSED:
        raise LinkError(REFUSED[chosen])
    match wall.one_of(chosen, NETWORKS, "network (type=)"):
        case "tcp" | "raw":
            wall.one_of(query.get("headerType") or "none", ("none",), "TCP disguise (headerType=)")
            return None
        case "grpc":
            return grpc(query)
        case _:
            return over_http(chosen, query, server)


def grpc(query: Query) -> Grpc:
    mode = wall.one_of(query.get("mode") or "gun", ("gun", "multi"), "gRPC mode (mode=)")
    authority = query.get("authority", "")
    return Grpc(
        wall.visible(query.get("serviceName", ""), "gRPC service (serviceName=)"),
        host_header(authority) if authority else "",
        mode == "multi",
    )


def over_http(chosen: str, query: Query, server: str) -> Network:
    path = wall.path(query.get("path") or "/", "HTTP path (path=)")
    host = host_header(query.get("host") or query.get("sni") or query.get("peer") or server)
    match chosen:
        case "ws":
            return WebSocket(path, host)
        case "httpupgrade":
            return HttpUpgrade(path, host)
    mode = wall.one_of(query.get("mode") or "auto", XHTTP_MODES, "XHTTP mode (mode=)")
    return Xhttp(path, host, mode, judged(query["extra"], mode) if query.get("extra") else "")


def network_query(network: Network) -> Query:
    """The inverse of `network`."""
    match network:
        case None:
            return {"type": "tcp"}
        case Grpc(service, authority, multi):
            mode = "multi" if multi else "gun"
            return {"type": "grpc", "serviceName": service, "authority": authority, "mode": mode}
        case WebSocket(path, host):
            return {"type": "ws", "path": path, "host": host}
        case HttpUpgrade(path, host):
            return {"type": "httpupgrade", "path": path, "host": host}
        case Xhttp(path, host, mode, extra):
            return {"type": "xhttp", "path": path, "host": host, "mode": mode, "extra": extra}


def query_of(security: Security, network: Network) -> Query:
    """What `security` and `network` read: the inverse of both."""
    return security_query(security) | network_query(network)


def security_query(security: Security) -> Query:
    match security:
        case Tls(sni, fingerprint, alpn, pins, names):
            lists = {"alpn": ",".join(alpn), "pcs": ",".join(pins), "vcn": ",".join(names)}
            return {"security": "tls", "sni": sni, "fp": fingerprint} | lists
        case Reality(sni, public_key, short_id, spider, fingerprint, mldsa65):
            keys = {"pbk": public_key, "sid": short_id, "spx": spider, "pqv": mldsa65}
            return {"security": "reality", "sni": sni, "fp": fingerprint} | keys
        case None:
            return {"security": "none"}


def host_header(value: str) -> str:
    """A host, and maybe a port."""
    match = re.fullmatch(r"(.+?)(?::([0-9]+))?", value) if value.count(":") <= 1 else None
    if not match:
        return bracketed(wall.host(value))
    host = bracketed(wall.host(match[1]))
    return f"{host}:{wall.port(match[2])}" if match[2] else host


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def security(query: Query, server: str, default: str) -> Security:
    """The TLS of a link; `default` when it does not say. `server` is the name to ask for when there is no other."""
    chosen = wall.one_of(query.get("security") or default, ("tls", "reality", "none"), "security (security=)")
    if chosen != "tls" or not listed(query.get("pcs", "")):  # one whose certificate is pinned is checked
        refuse_insecure(query)
    match chosen:
        case "tls":
            return tls(query, server)
        case "reality":
            return reality(query, server)
        case _:
            return None


def fingerprint(query: Query) -> str:
    return wall.one_of((query.get("fp") or "chrome").lower(), FINGERPRINTS, "browser fingerprint (fp=)")


def sni(query: Query, server: str) -> str:
    """The name to ask for: its own, else the WebSocket's, else the server's (as v2rayN and Xray fall back)."""
    return wall.host(query.get("sni") or query.get("peer") or query.get("host", "").partition(":")[0] or server)


def listed(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def tls(query: Query, server: str) -> Tls:
    if query.get("ech"):
        raise LinkError("The link asks for an encrypted ClientHello (ech=), which is not supported yet.")
    return Tls(
        sni(query, server),
        fingerprint(query),
        tuple(wall.one_of(item, ALPN, "protocol list (alpn=)") for item in listed(query.get("alpn", ""))),
        tuple(wall.hexadecimal(pin.replace(":", ""), "pin (pcs=)", (64,)) for pin in listed(query.get("pcs", ""))),
        tuple(wall.host(item) for item in listed(query.get("vcn", ""))),
    )


def reality(query: Query, server: str) -> Reality:
    public = query.get("pbk", "")
    wall.key(public, "REALITY public key (pbk=)", 32)
    mldsa65 = query.get("pqv", "")
    if mldsa65:
        wall.key(mldsa65, "REALITY signature key (pqv=)", MLDSA65_BYTES)
    return Reality(
        sni(query, server),
        url_safe(public),
        wall.hexadecimal(query.get("sid", ""), "REALITY short id (sid=)", range(0, 17, 2)),
        wall.path(query.get("spx") or "/", "REALITY path (spx=)"),
        fingerprint(query),
        url_safe(mldsa65),
    )


def url_safe(key: str) -> str:
    """Xray reads unpadded base64url and nothing else."""
    return key.replace("+", "-").replace("/", "_").rstrip("=")
