"""hysteria:// links, version 1 (v1.hysteria.network/docs/uri-scheme)."""

from __future__ import annotations

from routerd.links import wall
from routerd.links.uri import refuse_insecure, server, split, written
from routerd.transports.hysteria import Hysteria

ALPN = ("hysteria", "h3", "h2", "http/1.1")
FASTEST = 99999  # Mbit/s


def hysteria(text: str) -> tuple[str, Hysteria]:
    uri = split(text)
    query = uri.query
    refuse_insecure(query)
    wall.one_of(query.get("protocol") or "udp", ("udp",), "disguise (protocol=)")
    disguised = wall.one_of(query.get("obfs") or "none", ("none", "xplus"), "obfuscation (obfs=)") == "xplus"
    host, port = server(uri)
    return uri.name, Hysteria(
        host,
        port,
        wall.host(query.get("peer") or query.get("sni") or uri.host),
        wall.text(query["auth"], "password (auth=)") if query.get("auth") else "",
        wall.number(query.get("upmbps", ""), "upload rate (upmbps=)", 1, FASTEST),
        wall.number(query.get("downmbps", ""), "download rate (downmbps=)", 1, FASTEST),
        wall.text(query.get("obfsParam", ""), "obfuscation password (obfsParam=)") if disguised else "",
        wall.one_of(query.get("alpn") or "hysteria", ALPN, "protocol (alpn=)"),
    )


def hysteria_link(name: str, transport: Hysteria) -> str:
    query = {
        "protocol": "udp",
        "auth": transport.password,
        "peer": transport.sni,
        "upmbps": str(transport.up),
        "downmbps": str(transport.down),
        "alpn": transport.alpn,
        "obfs": "xplus" if transport.obfs_password else "",
        "obfsParam": transport.obfs_password,
    }
    return written("hysteria", "", (transport.server, transport.port), query, name)
