"""trojan-go:// links (p4gefau1t.github.io/trojan-go/developer/url): Trojan, maybe over a WebSocket."""

from __future__ import annotations

from routerd.links import stream, wall
from routerd.links.uri import decoded, refuse_insecure, server, split
from routerd.links.wall import LinkError
from routerd.transports.trojan import Trojan

NETWORKS = {"": "tcp", "original": "tcp", "ws": "ws"}


def trojan_go(text: str) -> tuple[str, Trojan]:
    uri = split(text)
    host, port = server(uri, "443")
    if uri.query.get("encryption", "none") not in ("", "none"):
        raise LinkError("The link has Shadowsocks inside Trojan (encryption=ss;…), which the engine has not.")
    if uri.query.get("plugin"):
        raise LinkError("The link needs a plugin, which Trojan has not here.")
    query = uri.query | {"security": "tls"}
    query["type"] = NETWORKS[wall.one_of(uri.query.get("type", ""), NETWORKS, "network (type=)")]
    tls = stream.tls(query, host)
    refuse_insecure(query)
    password = wall.text(decoded(uri.userinfo), "password")
    return uri.name, Trojan(host, port, password, tls, stream.network(query, host))
