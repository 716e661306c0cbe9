"""Xray JSON: one configuration, or a list of them as panels send, each named in `remarks`. Only `outbounds` is read."""

from __future__ import annotations

import json
from collections.abc import Iterator

from routerd.links import document, unknown
from routerd.links.document import Json, child, first, flag, insecure, items, place, text, texts, uri, with_password
from routerd.links.uri import HOST_PORT, Query
from routerd.links.wall import LinkError

NO_SERVER = ("freedom", "blackhole", "dns", "loopback")
# The links' keys, and Xray's
TLS = {"sni": "serverName", "fp": "fingerprint", "pcs": "pinnedPeerCertSha256", "vcn": "verifyPeerCertByName"}
REALITY = {"sni": "serverName", "fp": "fingerprint", "sid": "shortId", "spx": "spiderX", "pqv": "mldsa65Verify"}
PLAIN_TAG = "proxy"  # what panels call the one outbound of each configuration


def pieces(found: Json) -> Iterator[document.Piece]:
    entries = items(found, "outbounds")
    kinds = {text(entry, "tag"): text(entry, "protocol") for entry in entries if isinstance(entry, dict)}
    return document.pieces(entries, lambda entry: link(entry, text(found, "remarks"), kinds))


def link(entry: Json, remarks: str, kinds: dict[str, str]) -> str:
    kind, settings = text(entry, "protocol").lower(), child(entry, "settings")
    if kind in NO_SERVER:
        raise LinkError(document.NO_SERVER)
    through = text(child(entry, "proxySettings"), "tag") or text(sockopt(entry), "dialerProxy")
    if through and kinds.get(through) != "freedom":  # that one cuts the ClientHello into pieces, and is no server
        raise LinkError(document.CHAIN)
    tag = text(entry, "tag")
    name = " ".join(filter(None, (remarks, "" if remarks and tag == PLAIN_TAG else tag)))
    match kind:
        case "vless" | "vmess":
            return by_uuid(kind, entry, first(settings, "vnext") or settings, name)
        case "trojan" | "shadowsocks" | "socks" | "http":
            return by_server(kind, entry, first(settings, "servers") or settings, name)
        case "wireguard":
            return wireguard(settings, name)
    raise LinkError(unknown.of_scheme(kind) or "Entries of this protocol are not supported.")


def sockopt(entry: Json) -> Json:
    return child(child(entry, "streamSettings"), "sockopt")


def by_uuid(kind: str, entry: Json, server: Json, name: str) -> str:
    user = first(server, "users") or server
    own = {"encryption": text(user, "encryption") or "none", "flow": text(user, "flow")}
    if kind == "vmess":
        if text(user, "alterId") not in ("", "0"):
            raise LinkError("It is of the old VMess (alterId is not 0), which servers no longer accept.")
        own = {"encryption": text(user, "security") or "auto"}
    return uri(kind, text(user, "id"), place(server, "address"), own | stream(entry, text(server, "address")), name)


def by_server(kind: str, entry: Json, server: Json, name: str) -> str:
    where, query = place(server, "address"), stream(entry, text(server, "address"))
    match kind:
        case "trojan":
            return uri(kind, text(server, "password"), where, query, name)
        case "shadowsocks":
            if query["security"] != "none" or query["type"] not in ("tcp", "raw"):
                raise LinkError("It is Shadowsocks inside TLS or another network, which the engine has not.")
            return document.shadowsocks(text(server, "method"), text(server, "password"), where, "", name)
    user = first(server, "users") or server
    scheme, own = "socks5" if kind == "socks" else "http", {}
    if query["security"] == "tls" and kind == "http":
        scheme, own = "https", {key: query.get(key, "") for key in ("sni", "insecure")}
    elif query["security"] != "none":
        raise LinkError("It is a proxy inside TLS, which the engine has not.")
    return with_password(scheme, text(user, "user"), text(user, "pass"), where, own, name)


def stream(entry: Json, server: str) -> Query:
    """`server`: the name to ask for, where the settings give none."""
    found = child(entry, "streamSettings")
    query = security(found) | network(found)
    return query | {"sni": query.get("sni") or server}


def security(found: Json) -> Query:
    match text(found, "security"):
        case "tls":
            tls = child(found, "tlsSettings")
            if tls.get("certificates"):
                raise LinkError(document.OWN_AUTHORITY)
            query = {"security": "tls", "alpn": texts(tls, "alpn"), "ech": text(tls, "echConfigList")}
            return query | named(tls, TLS) | insecure(flag(tls, "allowInsecure"))
        case "reality":
            reality = child(found, "realitySettings")
            key = text(reality, "password", "publicKey")
            return {"security": "reality", "pbk": key} | named(reality, REALITY)
        case other:
            return {"security": other or "none"}


def named(found: Json, keys: Query) -> Query:
    return {key: text(found, theirs) for key, theirs in keys.items()}


def network(found: Json) -> Query:
    kind = text(found, "network") or "tcp"
    match kind:
        case "tcp" | "raw":
            settings = child(found, "rawSettings") or child(found, "tcpSettings")
            return {"type": "tcp", "headerType": text(child(settings, "header"), "type")}
        case "ws" | "httpupgrade":
            settings = child(found, f"{kind}Settings")
            host = text(settings, "host") or document.header(child(settings, "headers"), "host")
            return {"type": kind, "path": text(settings, "path"), "host": host}
        case "grpc" | "gun":
            settings = child(found, "grpcSettings")
            mode = "multi" if flag(settings, "multiMode") else "gun"
            query = {"type": "grpc", "serviceName": text(settings, "serviceName"), "mode": mode}
            return query | {"authority": text(settings, "authority")}
        case "xhttp" | "splithttp":
            return xhttp(child(found, f"{kind}Settings"))
    return {"type": kind}


def xhttp(settings: Json) -> Query:
    """`extra` holds what is neither the path, the host nor the mode; some write that beside them."""
    plain = {"path", "host", "mode", "extra"}
    extra = child(settings, "extra") or {key: value for key, value in settings.items() if key not in plain}
    written = document.clean(json.dumps(extra, separators=(",", ":"))) if extra else ""
    return {"type": "xhttp", "extra": written} | {key: text(settings, key) for key in ("path", "host", "mode")}


def wireguard(settings: Json, name: str) -> str:
    peer = first(settings, "peers")
    match = HOST_PORT.fullmatch(text(peer, "endpoint"))
    if not match or len(items(settings, "peers")) > 1:
        raise LinkError("It must have one peer, with an endpoint of the form host:port.")
    if any(text({"": each}, "") != "0" for each in items(settings, "reserved")):
        raise LinkError("It needs WARP's reserved bytes, which plain WireGuard does not have.")
    query = {
        "publickey": text(peer, "publicKey"),
        "presharedkey": text(peer, "preSharedKey"),
        "address": texts(settings, "address"),
        "mtu": text(settings, "mtu"),
        "keepalive": text(peer, "keepAlive"),
    }
    where = place({"server": match[1], "port": match[2] or ""})
    return uri("wireguard", text(settings, "secretKey"), where, query, name)
