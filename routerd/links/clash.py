"""Clash and mihomo YAML: `proxies`, and the addresses of `proxy-providers`.

Groups, rules, DNS, scripts and controllers are never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from routerd.links import document, unknown, wrapper
from routerd.links.document import (
    Json,
    Link,
    Piece,
    child,
    flag,
    insecure,
    items,
    place,
    text,
    texts,
    uri,
    with_password,
)
from routerd.links.uri import Query
from routerd.links.wall import LinkError

XHTTP_OWN = {"path", "host", "mode", "headers", "reuse-settings"}  # the last is how a client shares connections
HEADERS_NOT_CARRIED = "It wants HTTP headers, or XHTTP settings, which a link cannot carry."


def pieces(found: Json) -> Iterator[Piece]:
    yield from document.pieces(items(found, "proxies"), link)
    providers = child(found, "proxy-providers")
    for entry in (child(providers, key) for key in providers):
        if text(entry, "type") == "http":
            yield wrapper.address(document.shown(entry), text(entry, "url"))
        else:
            yield Piece(document.shown(entry), reason="It is a file of the machine that the document was made for.")


def link(entry: Json) -> str:
    kind = text(entry, "type").lower()
    if kind not in KINDS:
        raise LinkError(unknown.of_scheme(kind) or "Entries of this type are not supported.")
    if text(entry, "dialer-proxy"):
        raise LinkError(document.CHAIN)
    if text(entry, "certificate", "private-key") and kind not in ("wireguard", "ssh"):
        raise LinkError(document.OWN_AUTHORITY)
    return KINDS[kind](entry)


def shadowsocks(entry: Json) -> str:
    method, password = text(entry, "cipher"), text(entry, "password")
    return document.shadowsocks(method, password, place(entry), plugin(entry), name(entry))


def plugin(entry: Json) -> str:
    options = child(entry, "plugin-opts")
    host = text(options, "host")
    match text(entry, "plugin"):
        case "":
            return ""
        case "obfs":
            return document.plugin("obfs-local", {"obfs": text(options, "mode"), "obfs-host": host})
        case "v2ray-plugin" if not flag(options, "v2ray-http-upgrade"):
            return v2ray_plugin(options, host)
        case "shadow-tls":
            secret = {"host": host, "password": text(options, "password"), "version": text(options, "version")}
            return document.plugin("shadow-tls", secret)
        case other:
            return other  # refused by the wall, with what is allowed


def v2ray_plugin(options: Json, host: str) -> str:
    found = {"mode": text(options, "mode"), "host": host, "path": text(options, "path")}
    found |= {"mux": "" if flag(options, "mux") or not text(options, "mux") else "0"}
    if flag(options, "skip-cert-verify"):
        found["insecure"] = "1"
    name = "v2ray-plugin;tls" if flag(options, "tls") else "v2ray-plugin"
    return document.plugin(name, found)


def vless(entry: Json) -> str:
    query = {"encryption": text(entry, "encryption") or "none", "flow": text(entry, "flow")}
    return uri("vless", text(entry, "uuid"), place(entry), query | stream(entry, "none"), name(entry))


def vmess(entry: Json) -> str:
    if text(entry, "alterId") not in ("", "0"):
        raise LinkError("It is of the old VMess (alterId is not 0), which servers no longer accept.")
    query = {"encryption": text(entry, "cipher") or "auto"} | stream(entry, "none")
    return uri("vmess", text(entry, "uuid"), place(entry), query, name(entry))


def trojan(entry: Json) -> str:
    if flag(child(entry, "ss-opts"), "enabled"):
        raise LinkError("It is Trojan-Go with Shadowsocks inside, which the engine has not.")
    query = stream({"sni": text(entry, "server")} | entry, "tls")
    return uri("trojan", text(entry, "password"), place(entry), query, name(entry))


def stream(entry: Json, default: str) -> Query:
    return security(entry, default) | network(entry)


def security(entry: Json, default: str) -> Query:
    reality = child(entry, "reality-opts")
    if not flag(entry, "tls") and not reality and default == "none":
        return {"security": "none"}
    query = {
        "security": "reality" if reality else "tls",
        "sni": text(entry, "servername", "sni"),
        "fp": text(entry, "client-fingerprint").replace("none", ""),
        "alpn": texts(entry, "alpn"),
        "pbk": text(reality, "public-key"),
        "sid": text(reality, "short-id"),
    }
    return query | checks(entry, "pcs")


def checks(entry: Json, pin: str) -> Query:
    """What a client is to check of the server's certificate."""
    hello = {"ech": "1" if flag(child(entry, "ech-opts"), "enable") else ""}
    return insecure(flag(entry, "skip-cert-verify")) | hello | {pin: text(entry, "fingerprint")}


def network(entry: Json) -> Query:
    chosen = text(entry, "network") or "tcp"
    options = child(entry, f"{chosen}-opts")
    match chosen:
        case "ws":
            return websocket(options)
        case "grpc":
            return {"type": "grpc", "serviceName": text(options, "grpc-service-name")}
        case "xhttp":
            if set(options) - XHTTP_OWN or child(options, "headers"):
                raise LinkError(HEADERS_NOT_CARRIED)
            return {"type": "xhttp"} | {key: text(options, key) for key in ("path", "host", "mode")}
        case _:  # h2, and http in the disguise of TCP: for the wall to refuse
            return {"type": "tcp", "headerType": "http"} if chosen == "http" else {"type": chosen}


def websocket(options: Json) -> Query:
    """`?ed=` is Xray's way to say that the first bytes go out in the header Sec-WebSocket-Protocol."""
    path, early = text(options, "path"), text(options, "max-early-data")
    if flag(options, "v2ray-http-upgrade"):
        chosen = "httpupgrade"
    else:
        chosen = "ws"
        if early not in ("", "0") and "ed=" not in path:
            path = f"{path or '/'}?ed={early}"
    return {"type": chosen, "path": path, "host": document.header(child(options, "headers"), "host")}


def hysteria2(entry: Json) -> str:
    query = {"obfs": text(entry, "obfs"), "obfs-password": text(entry, "obfs-password"), "sni": text(entry, "sni")}
    server, port = place(entry | {"port": text(entry, "port") or "443"})
    ports = text(entry, "ports").replace("/", ",") or port
    return uri("hysteria2", text(entry, "password"), (server, ports), query | checks(entry, "pinSHA256"), name(entry))


def hysteria(entry: Json) -> str:
    obfs = text(entry, "obfs")
    query = {
        "auth": text(entry, "auth-str", "auth_str"),
        "peer": text(entry, "sni"),
        "protocol": text(entry, "protocol"),
        "alpn": texts(entry, "alpn"),
        "upmbps": mbps(text(entry, "up")),
        "downmbps": mbps(text(entry, "down")),
        "obfs": "xplus" if obfs else "",
        "obfsParam": obfs,
    }
    return uri("hysteria", "", place(entry), query | checks(entry, "pinSHA256"), name(entry))


def mbps(rate: str) -> str:
    found = re.fullmatch(r"([0-9]{1,9})\s*(?:[Mm]bps)?", rate.strip())
    return found[1] if found else rate


def tuic(entry: Json) -> str:
    query = {
        "congestion_control": text(entry, "congestion-controller"),
        "udp_relay_mode": text(entry, "udp-relay-mode"),
        "alpn": texts(entry, "alpn"),
        "sni": text(entry, "sni"),
        "disable_sni": "1" if flag(entry, "disable-sni") else "",
    }
    user, password = text(entry, "uuid"), text(entry, "password")
    return with_password("tuic", user, password, place(entry), query | checks(entry, "pinSHA256"), name(entry))


def anytls(entry: Json) -> str:
    query = {"sni": text(entry, "sni")} | checks(entry, "pinSHA256")
    return uri("anytls", text(entry, "password"), place(entry), query, name(entry))


def wireguard(entry: Json) -> str:
    if text(entry, "reserved").strip("[]0, ") or any(text({"": each}, "") != "0" for each in items(entry, "reserved")):
        raise LinkError("It needs WARP's reserved bytes, which plain WireGuard does not have.")
    if len(items(entry, "peers")) > 1:
        raise LinkError("It has several peers, which is not supported.")
    peer = entry | document.first(entry, "peers")
    query = {
        "publickey": text(peer, "public-key"),
        "presharedkey": text(peer, "pre-shared-key"),
        "address": ",".join(filter(None, (text(entry, "ip"), text(entry, "ipv6")))),
        "mtu": text(entry, "mtu"),
        "keepalive": text(entry, "persistent-keepalive"),
    }
    terms = document.terms(child(entry, "amnezia-wg-option"))
    return uri("wireguard", text(entry, "private-key"), place(peer), query | terms, name(entry))


def ssh(entry: Json) -> str:
    query = {"hk": texts(entry, "host-key"), "pk": text(entry, "private-key")}
    user, password = text(entry, "username"), text(entry, "password")
    return with_password("ssh", user, password, place(entry), query, name(entry))


def socks(entry: Json) -> str:
    if flag(entry, "tls"):
        raise LinkError("It is a SOCKS proxy inside TLS, which the engine has not.")
    user, password = text(entry, "username"), text(entry, "password")
    return with_password("socks5", user, password, place(entry), {}, name(entry))


def http(entry: Json) -> str:
    scheme = "https" if flag(entry, "tls") else "http"
    query = ({"sni": text(entry, "sni")} if scheme == "https" else {}) | checks(entry, "pinSHA256")
    user, password = text(entry, "username"), text(entry, "password")
    return with_password(scheme, user, password, place(entry), query, name(entry))


def name(entry: Json) -> str:
    return text(entry, "name")


KINDS: dict[str, Link] = {
    "ss": shadowsocks,
    "vless": vless,
    "vmess": vmess,
    "trojan": trojan,
    "hysteria2": hysteria2,
    "hysteria": hysteria,
    "tuic": tuic,
    "anytls": anytls,
    "wireguard": wireguard,
    "ssh": ssh,
    "socks5": socks,
    "http": http,
}
