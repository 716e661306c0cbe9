"""Shadowsocks documents: SIP008 lists, a client's own JSON, and what Outline's dynamic keys answer with.

Outline's `prefix` is passed over: it changes what a censor sees, not what the server needs (decisions/0013).
"""

from __future__ import annotations

from collections.abc import Iterator

from routerd.links import document
from routerd.links.document import Json, child, items, place, text
from routerd.links.uri import HOST_PORT
from routerd.links.wall import LinkError

DEEPEST = 8


def pieces(found: Json) -> Iterator[document.Piece]:
    return document.pieces(items(found, "servers"), link)


def link(entry: Json) -> str:
    plugin = ";".join(filter(None, (text(entry, "plugin"), text(entry, "plugin_opts"))))
    name = text(entry, "remarks", "name", "tag")
    where = place(entry, "server", "server_port")
    return document.shadowsocks(text(entry, "method"), text(entry, "password"), where, plugin, name)


def outline(found: Json) -> str:
    """A TunnelConfig: `transport` is one Shadowsocks server for TCP and for UDP."""
    if isinstance(found.get("transport"), str):
        return text(found, "transport")
    return dialled(child(found, "transport"))


def dialled(dialer: Json, depth: int = 0) -> str:
    match text(dialer, "$type"):
        case "tcpudp":
            return tcp_and_udp(dialer, depth)
        case "first-supported" if depth < DEEPEST:
            return first_supported(items(dialer, "options"), depth)
        case "shadowsocks" | "ss":
            method, secret = text(dialer, "cipher", "method"), text(dialer, "secret", "password")
            return document.shadowsocks(method, secret, endpoint(dialer), "", "")
        case "" if text(dialer, "method"):
            return link(dialer)
    raise LinkError("Outline's way of this type is not supported; Shadowsocks straight to a host and port is.")


def tcp_and_udp(dialer: Json, depth: int) -> str:
    """UDP may have another prefix; with another server it is not carried by one transport."""
    tcp, udp = (dialer.get(key) for key in ("tcp", "udp"))
    if isinstance(tcp, str):
        return tcp
    if not isinstance(tcp, dict) or text(tcp, "$type") == "tcpudp" or depth >= DEEPEST:
        raise LinkError("Outline's transport has no way for TCP.")
    if isinstance(udp, dict) and dialled(udp, depth + 1) != dialled(tcp, depth + 1):
        raise LinkError("Outline's transport has one server for TCP and another one for UDP, which is not supported.")
    return dialled(tcp, depth + 1)


def first_supported(options: list[object], depth: int) -> str:
    for option in options[:DEEPEST]:
        try:
            return dialled(option if isinstance(option, dict) else {}, depth + 1)
        except LinkError:
            continue
    raise LinkError("Outline's transport has no way that is supported; Shadowsocks straight to a host and port is.")


def endpoint(dialer: Json) -> document.Place:
    """`host:port`, or that as the `address` of a `dial` with no dialer of its own."""
    found = child(dialer, "endpoint")
    plain = text(dialer, "endpoint", "address")
    if found and text(found, "$type") in ("", "dial") and not found.get("dialer"):
        plain = text(found, "address")
    match = HOST_PORT.fullmatch(plain)
    if not match or (found and not plain):
        raise LinkError("Outline's endpoint is not of the form host:port; websockets and chains are not supported.")
    return place({"server": match[1], "port": match[2] or ""})
