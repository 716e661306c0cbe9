"""Reading and forging packets, bytes in and bytes out, no sockets; fast enough for the first packets of flows."""

import ipaddress
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP
RST_ACK = 0x14
SYN, ACK, FIN_PSH_ACK = 0x02, 0x10, 0x19
MD5 = 19  # the kind of TCP option that signs a segment (RFC 2385)


@dataclass(frozen=True, slots=True)
class Packet:
    """An IP packet's parts. seq, ack and flags are 0 for UDP; `sound`: a TCP checksum was right."""

    src: bytes
    dst: bytes
    proto: int
    sport: int
    dport: int
    payload: bytes
    seq: int = 0
    ack: int = 0
    flags: int = 0
    options: bytes = b""
    sound: bool = True

    @property
    def ends(self) -> tuple[bytes, bytes, int]:
        """What stays the same when the sender opens another flow there."""
        return self.src, self.dst, self.dport

    @property
    def flow(self) -> tuple[bytes, int, bytes, int]:
        return self.src, self.sport, self.dst, self.dport


def parse(data: bytes) -> Packet | None:
    """TCP and UDP over IPv4 and IPv6 without extension headers; None for anything else."""
    if data[0] >> 4 == 4:
        size, proto, src, dst = (data[0] & 15) * 4, data[9], data[12:16], data[16:20]
        end = int.from_bytes(data[2:4]) or len(data)
    else:
        size, proto, src, dst = 40, data[6], data[8:24], data[24:40]
        end = (40 + int.from_bytes(data[4:6])) if data[4:6] != b"\0\0" else len(data)
    body = data[size:end]
    if proto == UDP and len(body) >= 8:
        sport, dport = struct.unpack("!HH", body[:4])
        return Packet(src, dst, proto, sport, dport, body[8:])
    if proto == TCP and len(body) >= 20:
        sport, dport, seq, ack, offset, flags = struct.unpack("!HHIIBB", body[:14])
        at = (offset >> 4) * 4
        sound = checksum(src + dst + struct.pack("!II", len(body), proto) + body) == 0
        return Packet(src, dst, proto, sport, dport, body[at:], seq, ack, flags, body[20:at], sound)
    return None


def build(packet: Packet) -> bytes:
    """A whole IP packet with right checksums."""
    if packet.proto == UDP:
        body = struct.pack("!HHHH", packet.sport, packet.dport, 8 + len(packet.payload), 0) + packet.payload
        at = 6
    else:
        body = struct.pack("!HHIIBBHHH", packet.sport, packet.dport, packet.seq & 0xFFFFFFFF,
                           packet.ack & 0xFFFFFFFF, (5 + len(packet.options) // 4) << 4, packet.flags,
                           0, 0, 0) + packet.options + packet.payload
        at = 16
    pseudo = packet.src + packet.dst + struct.pack("!II", len(body), packet.proto)
    body = body[:at] + struct.pack("!H", checksum(pseudo + body) or 0xFFFF) + body[at + 2:]
    if len(packet.src) == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, packet.proto, 0) + packet.src + packet.dst
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body
    return struct.pack("!IHBB", 6 << 28, len(body), packet.proto, 64) + packet.src + packet.dst + body


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def resets(packet: Packet) -> tuple[Packet, Packet]:
    """RSTs to the sender and to the receiver of a TCP packet which the receiver has not seen yet."""
    end = packet.seq + len(packet.payload)
    to_sender = Packet(packet.dst, packet.src, TCP, packet.dport, packet.sport, b"", packet.ack, end, RST_ACK)
    to_receiver = Packet(packet.src, packet.dst, TCP, packet.sport, packet.dport, b"", packet.seq, packet.ack, RST_ACK)
    return to_sender, to_receiver


def page(packet: Packet, status: int) -> Packet:
    """An HTTP answer to the sender of a request, in the receiver's name, that ends the connection."""
    head = "302 Found\r\nLocation: http://block.example/" if status == 302 else "200 OK\r\nContent-Type: text/html"
    body = b"<title>Blocked</title>By order of the ministry this page cannot be shown to you here."
    answer = f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
    end = (packet.seq + len(packet.payload)) & 0xFFFFFFFF
    return Packet(packet.dst, packet.src, TCP, packet.dport, packet.sport, answer, packet.ack, end, FIN_PSH_ACK)


def lie(packet: Packet, addresses: Sequence[str]) -> Packet:
    """The forged answer to a DNS query, from whom it was asked of."""
    asked = question(packet.payload)
    assert asked
    answer = dns_answer(packet.payload, asked[2], asked[1], addresses)
    return Packet(packet.dst, packet.src, UDP, packet.dport, packet.sport, answer)


def signed(packet: Packet) -> bool:
    """Whether a TCP option says so."""
    at, options = 0, packet.options
    while at < len(options) and options[at]:
        if options[at] == MD5:
            return True
        at += 1 if options[at] == 1 else max(2, int.from_bytes(options[at + 1:at + 2]))
    return False


def sni(data: bytes) -> str | None:
    """The server name in bytes that begin with a ClientHello record, which may be cut off behind the name."""
    if len(data) < 44 or data[0] != 22 or data[5] != 1:
        return None
    # Records may split the hello; DPIs join them, and so do we: strip the inner record headers.
    hello, at = b"", 0
    while at + 5 <= len(data) and data[at] == 22:
        size = int.from_bytes(data[at + 3:at + 5])
        hello += data[at + 5:at + 5 + size]
        at += 5 + size
    at = 38
    try:
        at += 1 + hello[at]
        at += 2 + int.from_bytes(hello[at:at + 2])
        at += 1 + hello[at] + 2
        while at + 4 <= len(hello):
            kind, size = struct.unpack("!HH", hello[at:at + 4])
            if kind == 0:
                end = at + 9 + int.from_bytes(hello[at + 7:at + 9])
                return hello[at + 9:end].decode("ascii", "replace").lower() if end <= len(hello) else None
            at += 4 + size
    except IndexError:
        return None
    return None


def http_host(data: bytes, exact: bool = False) -> str | None:
    """The Host of bytes that begin with an HTTP/1 request; `exact`: in the spelling of most clients, or not at all."""
    if not data.split(b" ", 1)[0].isalpha():
        return None
    for line in data.split(b"\r\n")[1:]:
        if exact and line.startswith(b"Host: "):
            return line[6:].decode("ascii", "replace").partition(":")[0]
        name, _, value = line.partition(b":")
        if name.lower() == b"host" and not exact:
            return value.strip().decode("ascii", "replace").lower().partition(":")[0]
    return None


def question(data: bytes) -> tuple[str, int, int] | None:
    """Name (lower case), type and end of the one question of a DNS query; None for anything else."""
    if len(data) < 17 or data[2] & 0x80 or data[4:6] != b"\0\1":
        return None
    labels, at = [], 12
    while at < len(data) and data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode("ascii", "replace"))
        at += 1 + data[at]
    return ".".join(labels).lower(), int.from_bytes(data[at + 1:at + 3]), at + 5


def dns_answer(query: bytes, end: int, kind: int, addresses: Sequence[str]) -> bytes:
    """An answer to this query: the addresses of the asked type; no addresses at all mean NXDOMAIN."""
    records = [a.packed for a in map(ipaddress.ip_address, addresses) if kind == (1 if a.version == 4 else 28)]
    flags = 0x8180 if addresses else 0x8183
    out = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + query[12:end]
    for record in records:
        out += struct.pack("!HHHIH", 0xC00C, kind, 1, 300, len(record)) + record
    return out


def below(name: str | None, names: Sequence[str]) -> bool:
    """Whether the name is one of these or below one."""
    return name is not None and any(name == one or name.endswith("." + one) for one in names)
