"""vmess:// links: v2rayN's base64 of JSON, the URI form that VLESS has too (AEAD), and Shadowrocket's mix of both."""

from __future__ import annotations

import json
from base64 import b64encode

from routerd.links import stream, wall
from routerd.links.uri import Query, decoded, server, split
from routerd.links.wall import LinkError
from routerd.transports.vmess import CIPHERS, UNENCRYPTED, Vmess

# v2rayN's key: the URI's (github.com/2dust/v2rayN/wiki/Description-of-VMess-share-link)
RENAMED = {"net": "type", "type": "headerType", "tls": "security", "scy": "encryption"}
WRITTEN = {new: old for old, new in RENAMED.items()}


# Shadowrocket's keys, and its word for a network
ROCKET = {"peer": "sni", "obfsParam": "host", "path": "path", "allowInsecure": "insecure", "fp": "fp", "alpn": "alpn"}
OBFS = {"": "tcp", "none": "tcp", "websocket": "ws"}


def vmess(text: str) -> tuple[str, Vmess]:
    body, _, fragment = text.removeprefix("vmess://").partition("#")
    encoded, _, parameters = body.partition("?")
    if "@" in encoded:
        return from_uri(text)
    data = wall.base64(encoded, "link")
    if not data.lstrip().startswith(b"{") and b"@" in data:
        return from_rocket(data, parameters)
    name, found = from_json(members(data))
    return name or decoded(fragment), found


def from_uri(text: str) -> tuple[str, Vmess]:
    uri = split(text)
    host, port = server(uri)
    return uri.name, built(host, port, decoded(uri.userinfo), uri.query)


def from_json(found: Query) -> tuple[str, Vmess]:
    if found.get("aid") not in (None, "", "0"):
        raise LinkError("The link is of the old VMess (aid is not 0), which servers no longer accept.")
    query = {RENAMED.get(key, key): value for key, value in found.items()}
    if query.get("type") == "grpc":
        query |= {"serviceName": query.get("path", ""), "authority": query.get("host", "")}
    if query.get("type") in ("grpc", "xhttp", "splithttp"):
        query["mode"] = query.get("headerType", "").replace("none", "")
    host, port = wall.host(found.get("add", "")), wall.port(found.get("port", ""))
    return found.get("ps", ""), built(host, port, found.get("id", ""), query)


def vmess_link(name: str, transport: Vmess) -> str:
    """The v2rayN form: every client reads it, the URI form only the newer ones."""
    query = {"encryption": transport.cipher} | stream.query_of(transport.security, transport.network)
    head = {"v": "2", "ps": name, "add": transport.server, "port": str(transport.port), "id": transport.uuid}
    body = head | {"aid": "0"} | {WRITTEN.get(key, key): value for key, value in placed(query).items() if value}
    return "vmess://" + b64encode(json.dumps(body, ensure_ascii=False).encode()).decode()


def placed(query: Query) -> Query:
    """v2rayN has a network's mode in `type`, and gRPC's service and authority in `path` and `host`."""
    own = {"serviceName": "path", "authority": "host", "mode": "headerType"}
    moved = {own[key]: value for key, value in query.items() if key in own}
    return {"headerType": "none"} | {key: value for key, value in query.items() if key not in own} | moved


def from_rocket(data: bytes, parameters: str) -> tuple[str, Vmess]:
    """vmess://base64(cipher:id@host:port)?remarks=…&obfs=websocket&obfsParam=…&tls=1; no specification."""
    uri = split(f"vmess://{data.decode(errors='replace')}?{parameters}")
    host, port = server(uri)
    cipher, _, user = uri.userinfo.rpartition(":")
    found = uri.query
    if found.get("alterId", found.get("aid", "0")) not in ("", "0"):
        raise LinkError("The link is of the old VMess (alterId is not 0), which servers no longer accept.")
    query = {new: found.get(old, "") for old, new in ROCKET.items()}
    query["host"] = host_of(query["host"])
    query["type"] = OBFS.get(found.get("obfs", ""), found.get("obfs", ""))
    query |= {"security": "tls" if found.get("tls", "0") not in ("", "0") else "none", "encryption": cipher}
    return found.get("remarks") or found.get("remark", ""), built(host, port, user, query)


def host_of(value: str) -> str:
    """Some write the headers as JSON."""
    if not value.startswith("{"):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        raise LinkError("The link's obfsParam is neither a host nor a JSON object.") from None
    host = found.get("Host", "")
    return host if isinstance(host, str) else ""


def members(data: bytes) -> Query:
    """The JSON object's plain values, each as text."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise LinkError("The link is neither vmess://uuid@host:port nor base64 of a JSON object.")
    return {key: plain(value) for key, value in found.items() if isinstance(value, str | int)}


def plain(value: str | int) -> str:
    if isinstance(value, str):
        return value.strip()
    return str(int(value)) if abs(value) < 1 << 64 else "?"


def built(host: str, port: int, user: str, query: Query) -> Vmess:
    security, network = stream.riding(query, host, "none")
    cipher = wall.one_of(query.get("encryption") or "auto", CIPHERS, "cipher (scy)")
    if security is None and cipher in UNENCRYPTED:
        raise LinkError("The link has no encryption at all: TLS, or a cipher such as auto, is needed.")
    return Vmess(host, port, wall.uuid(user), cipher, security, network)
