"""trojan:// links (trojan-gfw/trojan-url, and what clients added to it)."""

from __future__ import annotations

from urllib.parse import quote

from routerd.links import stream, wall
from routerd.links.uri import decoded, server, split, written
from routerd.links.wall import LinkError
from routerd.transports.trojan import Trojan


def trojan(text: str) -> tuple[str, Trojan]:
    uri = split(text)
    host, port = server(uri, "443")
    security, network = stream.riding(uri.query, host, "tls")
    if security is None:
        raise LinkError("The link has no encryption at all: Trojan needs security=tls.")
    password = wall.text(decoded(uri.userinfo), "password")
    return uri.name, Trojan(host, port, password, security, network)


def trojan_link(name: str, transport: Trojan) -> str:
    query = stream.query_of(transport.security, transport.network)
    return written("trojan", quote(transport.password, safe=""), (transport.server, transport.port), query, name)
