"""tuic:// links, version 5 (no upstream specification: as v2rayN, mihomo and dae write them)."""

from __future__ import annotations

from routerd.links import wall
from routerd.links.stream import listed
from routerd.links.uri import decoded, refuse_insecure, server, split, written, written_user
from routerd.links.wall import LinkError
from routerd.transports.tuic import CONGESTION, RELAYS, Tuic

ALPN = ("h3", "h2", "http/1.1", "spdy/3.1")


def tuic(text: str) -> tuple[str, Tuic]:
    uri = split(text)
    refuse_insecure(uri.query)
    if uri.query.get("disable_sni", "0") not in ("", "0", "false"):
        raise LinkError("The link hides the server's name (disable_sni), which is not supported.")
    host, port = server(uri, "443")
    user, colon, password = decoded(uri.userinfo).partition(":")  # some encode the colon too
    if not colon:
        raise LinkError("The link is of TUIC version 4, which servers no longer accept: user:password@ is needed.")
    alpn = tuple(wall.one_of(item, ALPN, "protocol list (alpn=)") for item in listed(uri.query.get("alpn") or "h3"))
    return uri.name, Tuic(
        host,
        port,
        wall.uuid(user),
        wall.text(password, "password"),
        wall.host(uri.query.get("sni") or uri.host),
        alpn,
        wall.one_of(uri.query.get("congestion_control") or "cubic", CONGESTION, "congestion control"),
        wall.one_of(uri.query.get("udp_relay_mode") or "native", RELAYS, "way of datagrams (udp_relay_mode=)"),
    )


def tuic_link(name: str, transport: Tuic) -> str:
    query = {
        "sni": transport.sni,
        "alpn": ",".join(transport.alpn),
        "congestion_control": transport.congestion,
        "udp_relay_mode": transport.relay,
    }
    user = written_user(transport.uuid, transport.password)
    return written("tuic", user, (transport.server, transport.port), query, name)
