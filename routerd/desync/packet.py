"""TCP and UDP packets of IPv4 and IPv6, as bytes and as data. Pure.

`parse` is on the way of every first packet, and reads what strangers send: it never raises, and gives None for whatever
is not a whole packet with ports.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

TCP, UDP = 6, 17
FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_HOP_BY_HOP, _ROUTING, _DESTINATION = 0, 43, 60  # IPv6 extension headers that may stand before the ports
_TCP, _UDP = struct.Struct("!HHIIBBHHH"), struct.Struct("!HHHH")
_IP4, _IP6 = struct.Struct("!BBHHHBBH"), struct.Struct("!IHBB")
_LONGEST_OPTIONS = 40


@dataclass(frozen=True, slots=True)
class Packet:
    """`src`, `dst`: 4 or 16 bytes. `options`: of TCP, as on the wire. `ttl`: the hop limit. `tos`: the traffic class.

    `bad_checksum`: is built with a wrong one of TCP or UDP; what was parsed is not looked at.
    """

    src: bytes
    dst: bytes
    proto: int
    sport: int
    dport: int
    payload: bytes = b""
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 0
    ttl: int = 64
    options: bytes = b""
    ident: int = 0
    tos: int = 0
    urgent: int = 0
    bad_checksum: bool = False


def parse(data: bytes) -> Packet | None:
    """An IP packet, without anything around it."""
    try:
        version = data[0] >> 4
        if version == 4:
            return _parse4(data)
        return _parse6(data) if version == 6 else None
    except (IndexError, struct.error):
        return None


def _parse4(data: bytes) -> Packet | None:
    head, total = (data[0] & 15) * 4, data[2] << 8 | data[3]
    if head < 20 or total > len(data) or (data[6] << 8 | data[7]) & 0x3FFF:
        return None
    ident = data[4] << 8 | data[5]
    return _inside(data[12:16], data[16:20], data[9], data[head:total], (data[8], data[1], ident))


def _parse6(data: bytes) -> Packet | None:
    end = 40 + (data[4] << 8 | data[5])
    if end > len(data):
        return None
    proto, at = data[6], 40
    while proto in (_HOP_BY_HOP, _ROUTING, _DESTINATION):
        proto, at = data[at], at + 8 + data[at + 1] * 8
        if at >= end:
            return None
    tos = (data[0] & 15) << 4 | data[1] >> 4
    return _inside(data[8:24], data[24:40], proto, data[at:end], (data[7], tos, 0))


def _inside(src: bytes, dst: bytes, proto: int, body: bytes, around: tuple[int, int, int]) -> Packet | None:
    ttl, tos, ident = around
    if proto == TCP:
        sport, dport, seq, ack, offset, flags, window, _, urgent = _TCP.unpack_from(body)
        head = (offset >> 4) * 4
        if not 20 <= head <= len(body):
            return None
        payload, options = body[head:], body[20:head]
        return Packet(src, dst, proto, sport, dport, payload, seq, ack, flags, window, ttl, options, ident, tos, urgent)
    if proto == UDP:
        sport, dport, length, _ = _UDP.unpack_from(body)
        if not 8 <= length <= len(body):
            return None
        return Packet(src, dst, proto, sport, dport, body[8:length], ttl=ttl, ident=ident, tos=tos)
    return None


def build(packet: Packet) -> bytes:
    """The packet on the wire. IPv4 is sent with DF, as by every system of today."""
    body = _tcp(packet) if packet.proto == TCP else _udp(packet)
    if len(packet.src) == 4:
        total = 20 + len(body)
        head = _IP4.pack(0x45, packet.tos, total, packet.ident, 0x4000, packet.ttl, packet.proto, 0)
        head += packet.src + packet.dst
        return head[:10] + _complement(_sum(head)) + head[12:] + body
    return _IP6.pack(6 << 28 | packet.tos << 20, len(body), packet.proto, packet.ttl) + packet.src + packet.dst + body


def _tcp(packet: Packet) -> bytes:
    options = packet.options[:_LONGEST_OPTIONS]
    options += b"\0" * (-len(options) % 4)
    offset = (20 + len(options)) << 2
    ports, numbers = (packet.sport, packet.dport), (packet.seq & 0xFFFFFFFF, packet.ack & 0xFFFFFFFF)
    head = _TCP.pack(*ports, *numbers, offset, packet.flags, packet.window, 0, packet.urgent) + options
    body = head + packet.payload
    return body[:16] + _checksum(packet, body) + body[18:]


def _udp(packet: Packet) -> bytes:
    body = _UDP.pack(packet.sport, packet.dport, 8 + len(packet.payload), 0) + packet.payload
    found = _checksum(packet, body)
    return body[:6] + (found if found != b"\0\0" else b"\xff\xff") + body[8:]


def _checksum(packet: Packet, body: bytes) -> bytes:
    """Over the pseudo-header too (RFC 9293, 3.1; RFC 8200, 8.1): the same sum for both families."""
    total = _sum(packet.src) + _sum(packet.dst) + packet.proto + len(body) + _sum(body)
    return _complement(total + 0x1234 if packet.bad_checksum else total)


def _sum(data: bytes) -> int:
    """Of 16-bit words, in ones' complement: 2**16 is 1 there, so a number of all the bytes does it (RFC 1071)."""
    return int.from_bytes(data + b"\0" if len(data) & 1 else data) % 0xFFFF


def _complement(total: int) -> bytes:
    return (0xFFFF - total % 0xFFFF).to_bytes(2)
