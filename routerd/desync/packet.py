"""scaffold"""

from __future__ import annotations
import struct
from dataclasses import dataclass

TCP, UDP = 6, 17
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


@dataclass(frozen=True, slots=True)
class Packet:
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
    bad_checksum: bool = False
    urgent: int = 0


def parse(data: bytes) -> Packet | None:
    try:
        if data[0] >> 4 == 4:
            ihl = (data[0] & 15) * 4
            total = int.from_bytes(data[2:4])
            src, dst, proto, ttl, tos = data[12:16], data[16:20], data[9], data[8], data[1]
            body = data[ihl:total]
        else:
            src, dst, proto, ttl, tos = data[8:24], data[24:40], data[6], data[7], 0
            body = data[40 : 40 + int.from_bytes(data[4:6])]
        if proto == TCP:
            sport, dport, seq, ack, off, flags, window, _, urg = struct.unpack_from("!HHIIBBHHH", body)
            off = (off >> 4) * 4
            return Packet(src, dst, TCP, sport, dport, body[off:], seq, ack, flags, window, ttl, body[20:off], 0, tos)
        if proto == UDP:
            sport, dport = struct.unpack_from("!HH", body)
            return Packet(src, dst, UDP, sport, dport, body[8:], ttl=ttl)
    except (IndexError, struct.error):
        pass
    return None


def build(p: Packet) -> bytes:
    if p.proto == TCP:
        head = (
            struct.pack(
                "!HHIIBBHHH",
                p.sport,
                p.dport,
                p.seq & 0xFFFFFFFF,
                p.ack,
                (20 + len(p.options)) << 2,
                p.flags,
                p.window,
                0,
                0,
            )
            + p.options
        )
        at = 16
    else:
        head = struct.pack("!HHHH", p.sport, p.dport, 8 + len(p.payload), 0)
        at = 6
    body = head + p.payload
    total = sum(struct.unpack(f"!{len(p.src + p.dst) // 2}H", p.src + p.dst)) + p.proto + len(body)
    total += int.from_bytes(body + b"\0" * (len(body) % 2)) % 0xFFFF
    c = (~(total % 0xFFFF)) & 0xFFFF
    if p.bad_checksum:
        c ^= 0x5555
    body = body[:at] + struct.pack("!H", c) + body[at + 2 :]
    if len(p.src) == 4:
        return (
            struct.pack("!BBHHHBBH", 0x45, p.tos, 20 + len(body), p.ident, 0x4000, p.ttl, p.proto, 0)
            + p.src
            + p.dst
            + body
        )
    return struct.pack("!IHBB", 6 << 28, len(body), p.proto, p.ttl) + p.src + p.dst + body
