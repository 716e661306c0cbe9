"""vmess:// links: v2rayN's base64 of JSON, and the URI form that VLESS has too (AEAD)."""

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


def vmess(text: str) -> tuple[str, Vmess]:
    body = text.removeprefix("vmess://").partition("#")[0]
    return from_uri(text) if "@" in body else from_json(members(body))


def from_uri(text: str) -> tuple[str, Vmess]:
    uri = split(text)
    host, port = server(uri)
    return uri.name, built(host, port, decoded(uri.userinfo), uri.query)


def from_json(found: Query) -> tuple[str, Vmess]:
    if found.get("aid") not in (None, "", "0"):
        raise LinkError("The link is of the old VMess (aid is not 0), which servers no longer accept.")
    query = {RENAMED.get(key, key): value for key, value in found.items()}
    host, port = wall.host(found.get("add", "")), wall.port(found.get("port", ""))
    return found.get("ps", ""), built(host, port, found.get("id", ""), query)


def vmess_link(name: str, transport: Vmess) -> str:
    """The v2rayN form: every client reads it, the URI form only the newer ones."""
    query = {"encryption": transport.cipher, "headerType": "none"}
    query |= stream.query_of(transport.security, transport.network)
    head = {"v": "2", "ps": name, "add": transport.server, "port": str(transport.port), "id": transport.uuid}
    body = head | {"aid": "0"} | {WRITTEN.get(key, key): value for key, value in query.items() if value}
    return "vmess://" + b64encode(json.dumps(body, ensure_ascii=False).encode()).decode()


def members(body: str) -> Query:
    """The JSON object's plain values, each as text."""
    try:
        found = json.loads(wall.base64(body, "link"))
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
    security = stream.security(query, host, "none")
    cipher = wall.one_of(query.get("encryption") or "auto", CIPHERS, "cipher (scy)")
    if security is None and cipher in UNENCRYPTED:
        raise LinkError("The link has no encryption at all: TLS, or a cipher such as auto, is needed.")
    return Vmess(host, port, wall.uuid(user), cipher, security, stream.network(query, host))
