"""Makes a household device say something on a connection that is dead, so that it hears at once that it is.

A device that only downloads would wait for ever: nothing that it sends can be refused. A segment that fits nothing,
in the site's name, is answered by its kernel with an acknowledgement (RFC 9293, 3.10.7.4), and that one is reset.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

Flow = tuple[str, int, str, int]  # the device's address and port, the site's
_ACK = 0x10


def nudge(flows: Iterable[Flow]) -> None:
    """Sends one segment for each flow, to the device."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as four,
        socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as six,
    ):
        for device, port, site, at in flows:
            source, target = ip_address(site), ip_address(device)
            data = segment(source, at, target, port)
            with contextlib.suppress(OSError):  # the box's own, inside a tunnel: its address has gone with that
                (four if target.version == 4 else six).sendto(data, (device, 0))


def segment(source: IPv4Address | IPv6Address, sport: int, target: IPv4Address | IPv6Address, dport: int) -> bytes:
    """An IP packet with a bare acknowledgement in it."""
    tcp = struct.pack("!HHIIBBHHH", sport, dport, 0, 0, 5 << 4, _ACK, 0, 0, 0)
    pseudo = source.packed + target.packed + struct.pack("!II", len(tcp), socket.IPPROTO_TCP)
    tcp = tcp[:16] + struct.pack("!H", _checksum(pseudo + tcp)) + tcp[18:]
    if source.version == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0)  # the kernel sums it
    else:
        head = struct.pack("!IHBB", 6 << 28, len(tcp), socket.IPPROTO_TCP, 64)
    return head + source.packed + target.packed + tcp


def _checksum(data: bytes) -> int:
    total = int(sum(struct.unpack(f"!{len(data) // 2}H", data)))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
