"""http:// and https:// proxies: a host, its port and nothing behind it. With a path it is a page or a subscription."""

from __future__ import annotations

from routerd.links import wall
from routerd.links.uri import server, split, user_and_password, written, written_user
from routerd.links.wall import LinkError
from routerd.transports.http import Http


def http(text: str) -> tuple[str, Http]:
    uri = split(text)
    path = text.partition("://")[2].partition("#")[0].partition("?")[0].rpartition("@")[2].partition("/")[2]
    if path or set(uri.query) - {"sni"} or not uri.port:
        raise LinkError(
            "This is the address of a page or of a subscription; a proxy is http(s)://user:password@host:port."
        )
    host, port = server(uri)
    user, password = user_and_password(uri)
    if ":" in user or (password and not user):
        raise LinkError("The user of an HTTP proxy is missing or has a colon in it.")
    sni = wall.host(uri.query.get("sni") or uri.host) if uri.scheme == "https" else ""
    return uri.name, Http(host, port, user, password, sni)


def http_link(name: str, transport: Http) -> str:
    user = written_user(transport.user, transport.password)
    scheme, query = ("https", {"sni": transport.sni}) if transport.sni else ("http", {})
    return written(scheme, user, (transport.server, transport.port), query, name)
