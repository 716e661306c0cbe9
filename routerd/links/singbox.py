"""sing-box JSON: `outbounds` and `endpoints`. Inbounds, routes, DNS, logs and services are never looked at."""

from __future__ import annotations

from collections.abc import Iterator

from routerd.links import document, unknown
from routerd.links.document import Json, child, first, flag, insecure, items, place, text, texts, uri, with_password
from routerd.links.uri import Query
from routerd.links.wall import LinkError

NO_SERVER = ("direct", "block", "dns", "selector", "urltest")
PINS = ("certificate", "certificate_path", "certificate_public_key_sha256", "client_certificate", "client_key")
All = dict[str, Json]  # the document's entries by their tags


def pieces(found: Json) -> Iterator[document.Piece]:
    entries = items(found, "outbounds") + items(found, "endpoints")
    tagged = {text(entry, "tag"): entry for entry in entries if isinstance(entry, dict) and text(entry, "tag")}
    return document.pieces(entries, lambda entry: link(entry, tagged))


def link(entry: Json, tagged: All) -> str:
    kind = text(entry, "type").lower()
    if kind in NO_SERVER:
        raise LinkError(document.NO_SERVER)
    beneath = tagged.get(text(entry, "detour"), {})
    if kind == "shadowsocks" and text(beneath, "type") == "shadowtls":
        return in_shadowtls(entry, beneath)
    if beneath and text(beneath, "type") != "direct":
        raise LinkError(document.CHAIN)
    match kind:
        case "shadowsocks":
            plugin = ";".join(filter(None, (text(entry, "plugin"), text(entry, "plugin_opts"))))
            return shadowsocks(entry, at(entry), plugin)
        case "shadowtls":
            raise LinkError("It is the outer half of ShadowTLS; the entry that goes through it is the server.")
        case "vless" | "vmess" | "trojan":
            return streamed(kind, entry)
        case "hysteria2" | "hysteria" | "tuic" | "anytls":
            return over_tls(kind, entry)
        case "wireguard" | "awg":
            return wireguard(entry)
        case "naive":
            return naive(entry)
        case "ssh" | "socks" | "http":
            return with_user(kind, entry)
    raise LinkError(unknown.of_scheme(kind) or "Entries of this type are not supported.")


def at(entry: Json) -> document.Place:
    return place(entry, "server", "server_port")


def shadowsocks(entry: Json, where: document.Place, plugin: str) -> str:
    return document.shadowsocks(text(entry, "method"), text(entry, "password"), where, plugin, text(entry, "tag"))


def in_shadowtls(entry: Json, outer: Json) -> str:
    found = {"host": tls(outer)["sni"], "password": text(outer, "password"), "version": text(outer, "version")}
    return shadowsocks(entry, at(outer), document.plugin("shadow-tls", found))


def streamed(kind: str, entry: Json) -> str:
    query = tls(entry) | network(child(entry, "transport"))
    match kind:
        case "vless":
            user, own = text(entry, "uuid"), {"encryption": "none", "flow": text(entry, "flow")}
        case "vmess":
            if text(entry, "alter_id") not in ("", "0"):
                raise LinkError("It is of the old VMess (alter_id is not 0), which servers no longer accept.")
            user, own = text(entry, "uuid"), {"encryption": text(entry, "security") or "auto"}
        case _:
            user, own = text(entry, "password"), {}
    return uri(kind, user, at(entry), own | query, text(entry, "tag"))


def tls(entry: Json) -> Query:
    found = child(entry, "tls")
    if not flag(found, "enabled"):
        return {"security": "none", "sni": ""}
    if any(found.get(key) for key in PINS):
        raise LinkError(document.OWN_AUTHORITY)
    if flag(found, "disable_sni"):
        raise LinkError("It hides the server's name (disable_sni), which is not supported.")
    reality, utls = child(found, "reality"), child(found, "utls")
    query = {
        "security": "reality" if flag(reality, "enabled") else "tls",
        "sni": text(found, "server_name") or text(entry, "server"),
        "alpn": texts(found, "alpn"),
        "fp": text(utls, "fingerprint") if flag(utls, "enabled") else "",
        "pbk": text(reality, "public_key"),
        "sid": text(reality, "short_id"),
        "ech": "1" if flag(child(found, "ech"), "enabled") else "",
    }
    return query | insecure(flag(found, "insecure"))


def network(found: Json) -> Query:
    match text(found, "type"):
        case "":
            return {"type": "tcp"}
        case "ws" | "httpupgrade" as kind:
            path, early = text(found, "path"), text(found, "max_early_data")
            if early not in ("", "0") and text(found, "early_data_header_name"):
                path = f"{path or '/'}?ed={early}"
            host = text(found, "host") or document.header(child(found, "headers"), "host")
            return {"type": kind, "path": path, "host": host}
        case "grpc":
            return {"type": "grpc", "serviceName": text(found, "service_name")}
        case other:
            return {"type": other}


def over_tls(kind: str, entry: Json) -> str:
    query = tls(entry)
    where, name, obfs = at(ported(entry)), text(entry, "tag"), child(entry, "obfs")
    kept = {key: query.get(key, "") for key in ("sni", "insecure", "ech")}
    match kind:
        case "hysteria2":
            own = {"obfs": text(obfs, "type"), "obfs-password": text(obfs, "password")}
            ports = texts(entry, "server_ports").replace(":", "-") or where[1]
            return uri(kind, text(entry, "password"), (where[0], ports), own | kept, name)
        case "hysteria":
            return uri(kind, "", where, hysteria(entry) | kept | {"alpn": query.get("alpn", "")}, name)
        case "tuic":
            own = {"congestion_control": text(entry, "congestion_control"), "alpn": query.get("alpn", "")}
            own |= {"udp_relay_mode": text(entry, "udp_relay_mode")} | kept
            return with_password(kind, text(entry, "uuid"), text(entry, "password"), where, own, name)
    return uri(kind, text(entry, "password"), where, kept, name)


def ported(entry: Json) -> Json:
    """With hopping ports there need be no other."""
    first_port = texts(entry, "server_ports").partition(",")[0].partition(":")[0]
    return {"server_port": first_port} | entry


def hysteria(entry: Json) -> Query:
    obfs = text(entry, "obfs")
    return {
        "auth": text(entry, "auth_str"),
        "upmbps": text(entry, "up_mbps"),
        "downmbps": text(entry, "down_mbps"),
        "obfs": "xplus" if obfs else "",
        "obfsParam": obfs,
        "peer": tls(entry)["sni"],
    }


def wireguard(entry: Json) -> str:
    """An endpoint, or the outbound that it was before 1.11. Forks have AmneziaWG's terms in it, or in `amnezia`."""
    peer = first(entry, "peers")
    if len(items(entry, "peers")) > 1:
        raise LinkError("It has several peers, which is not supported.")
    where = place(peer, "address", "port") if "address" in peer else at(peer or entry)
    if any(text({"": each}, "") != "0" for each in items(peer, "reserved") + items(entry, "reserved")):
        raise LinkError("It needs WARP's reserved bytes, which plain WireGuard does not have.")
    query = {
        "publickey": text(peer, "public_key") or text(entry, "peer_public_key"),
        "presharedkey": text(peer, "pre_shared_key") or text(entry, "pre_shared_key"),
        "address": texts(entry, "address") or texts(entry, "local_address"),
        "mtu": text(entry, "mtu"),
        "keepalive": text(peer, "persistent_keepalive_interval"),
    }
    terms = document.terms(entry | child(entry, "amnezia"))
    return uri("wireguard", text(entry, "private_key"), where, query | terms, text(entry, "tag"))


def naive(entry: Json) -> str:
    if child(entry, "extra_headers"):
        raise LinkError("It wants HTTP headers of its own, which are not carried.")
    query = tls(entry)
    own = {key: query.get(key, "") for key in ("sni", "insecure", "ech")}
    scheme = "naive+quic" if flag(entry, "quic") else "naive+https"
    return with_password(scheme, text(entry, "username"), text(entry, "password"), at(entry), own, text(entry, "tag"))


def with_user(kind: str, entry: Json) -> str:
    name, password, query = text(entry, "tag"), text(entry, "password"), tls(entry)
    if kind == "ssh":
        lines = texts(entry, "private_key").replace(",", "")  # a PEM's, maybe one by one
        keys = {"hk": texts(entry, "host_key"), "pk": lines}
        if text(entry, "private_key_path", "private_key_passphrase"):
            raise LinkError("Its private key is in a file, or locked with a passphrase; the key itself is needed.")
        return with_password(kind, text(entry, "user"), password, at({"server_port": "22"} | entry), keys, name)
    own: Query = {}
    if kind == "socks":
        scheme = "socks4" if text(entry, "version").startswith("4") else "socks5"
    elif query["security"] == "none":
        scheme = "http"
    else:
        scheme, own = "https", {key: query.get(key, "") for key in ("sni", "insecure", "ech")}
    return with_password(scheme, text(entry, "username"), password, at(entry), own, name)
