"""The two doors of an engine: the transparent port that packets enter by, the addresses its own packets go to."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal

from routerd.model import Carries, Tproxy, Upstream

FIRST_PORT = 12300  # plus the slot

Proto = Literal["tcp", "udp"]
Ports = tuple[int, int]  # first, last


def tproxy(slot: int, carries: Carries) -> Tproxy:
    """The transparent port of `slot`; what the engine does not carry is refused before it."""
    return Tproxy(FIRST_PORT + slot, carries.udp, carries.ipv6, carries.quic)


ANY_PORT = (1, 65535)


def anywhere(proto: Proto, *ports: Ports) -> tuple[Upstream, ...]:
    """For an engine whose servers are not known beforehand. docs/security.md says which may, and why."""
    return tuple(Upstream(None, proto, first, last) for first, last in ports)


def upstreams(server: str, ports: tuple[Ports, ...], *protos: Proto) -> tuple[Upstream, ...]:
    """Where the engine may go. Raises ValueError when `server` is no IP address: engines look up no names."""
    address = ip_address(server)
    return tuple(Upstream(address, proto, first, last) for proto in protos for first, last in ports)
