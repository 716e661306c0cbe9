"""naive+https:// and naive+quic://, as DuckSoft wrote the form down, and naive:// for the first.

Of its parameters `padding` is always on by now, and `insecure-concurrency` would make the tunnel easier to see: both
are passed over. Headers of one's own are refused.
"""

from __future__ import annotations

from routerd.links import wall
from routerd.links.uri import refuse_insecure, server, split, user_and_password, written, written_user
from routerd.links.wall import LinkError
from routerd.transports.naive import Naive


def naive(text: str) -> tuple[str, Naive]:
    uri = split(text)
    refuse_insecure(uri.query)
    if uri.query.get("extra-headers"):
        raise LinkError("The link wants HTTP headers of its own (extra-headers), which are not carried.")
    if uri.query.get("ech"):
        raise LinkError("The link asks for an encrypted ClientHello (ech=), which is not supported yet.")
    host, port = server(uri, "443")
    user, password = user_and_password(uri)
    if not user or not password or ":" in user:
        raise LinkError("NaiveProxy needs a user and a password: naive+https://user:password@host:port.")
    sni = wall.host(uri.query.get("sni") or uri.host)
    return uri.name, Naive(host, port, user, password, sni, uri.scheme == "naive+quic")


def naive_link(name: str, transport: Naive) -> str:
    scheme, user = "naive+quic" if transport.quic else "naive+https", written_user(transport.user, transport.password)
    return written(scheme, user, (transport.server, transport.port), {"sni": transport.sni}, name)
