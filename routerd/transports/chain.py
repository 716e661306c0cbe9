"""One transport inside another: which pairs make sense, and what becomes of the inner one in there. Pure.

Nothing here knows a kind by its name: what a transport needs and carries is read off the Launch that it would give.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from routerd.model import Launch, Link, Queue, Tproxy, Upstream
from routerd.transports import Transport

DEEPEST = 3  # transports inside each other, the innermost and the outermost counted too: each adds its round trips
ANYWHERE = "192.0.2.1"  # RFC 5737: in the place of a server's name, where it does not matter
# Inside an engine: every line carries 1280 bytes, and what the engine puts around a datagram fits beside them.
IN_ENGINE = 1280
# Bytes that a tunnel puts around each packet, at most: headers of IPv6 and UDP, and its own (WireGuard's are 32).
AROUND = 80


def outline(transport: Transport) -> Launch:
    """What it would run, wherever its server is."""
    try:
        ip_address(transport.server)
    except ValueError:
        transport = replace(transport, server=ANYWHERE)
    return transport.launch("outline", 1)


def why_not(inner: Transport, outer: Transport) -> str:
    """Why `inner` cannot travel inside `outer`; empty where it can."""
    launch, way = outline(inner), outline(outer).exit
    if isinstance(launch.exit, Queue):
        return f"{inner.kind} goes straight out, so it travels inside nothing"
    if isinstance(way, Queue):
        return f"{outer.kind} goes straight out; what is inside it would be on its own"
    needed = launch.upstreams
    if not launch.marks:
        return f"{inner.kind} cannot be told another way, so it travels inside nothing"
    if any(passes(upstream, way) for upstream in needed):
        return ""
    if all(upstream.proto == "udp" for upstream in needed) and isinstance(way, Tproxy) and way.udp:
        return f"it carries no UDP to port 443, which {inner.kind} needs here"
    return f"it carries no UDP, which {inner.kind} needs"


def passes(upstream: Upstream, way: Tproxy | Link) -> bool:
    if isinstance(way, Link) or upstream.proto == "tcp":
        return True
    return way.udp and (way.quic or not upstream.first <= 443 <= upstream.last)


def inside(launch: Launch, outer: Launch) -> Launch:
    """The inner one, as it is in there: a tunnel made to fit, and no UDP where its own has no way."""
    if isinstance(outer.exit, Queue):
        return launch  # `why_not` lets nothing travel inside one
    match launch.exit:
        case Link(mtu=mtu, ahead=ahead):
            around = AROUND + ahead
            room = max(IN_ENGINE, outer.exit.mtu - around) if isinstance(outer.exit, Link) else IN_ENGINE
            return replace(launch, exit=replace(launch.exit, mtu=min(mtu, room)))
        case Queue():
            return launch
        case Tproxy(udp=udp):
            datagrams = [upstream for upstream in launch.upstreams if upstream.proto == "udp"]
            carried = udp and all(passes(upstream, outer.exit) for upstream in datagrams)
            return replace(launch, exit=replace(launch.exit, udp=carried))
