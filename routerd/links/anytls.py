"""anytls:// links (anytls-go, docs/uri_scheme.md)."""

from __future__ import annotations

from urllib.parse import quote

from routerd.links import wall
from routerd.links.uri import decoded, refuse_insecure, server, split, written
from routerd.links.wall import LinkError
from routerd.transports.anytls import AnyTls


def anytls(text: str) -> tuple[str, AnyTls]:
    uri = split(text)
    refuse_insecure(uri.query)
    if (uri.query.get("security") or "tls") != "tls":
        raise LinkError("The link wants AnyTLS over something other than TLS, which the engine has not.")
    host, port = server(uri, "443")
    password = wall.text(decoded(uri.userinfo), "password")
    return uri.name, AnyTls(host, port, password, wall.host(uri.query.get("sni") or uri.host))


def anytls_link(name: str, transport: AnyTls) -> str:
    user = quote(transport.password, safe="")
    return written("anytls", user, (transport.server, transport.port), {"sni": transport.sni}, name)
