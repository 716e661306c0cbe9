"""The censor's eye, run as a program on the ISP: holds each flow's first packets, looks, lets go, resets or swallows.

Packets arrive through a netfilter queue, so what it injects is always faster than the true answer. Rules come as JSON
lists, one per line, on stdin; each is answered with `ok`. A rule: {"see": "sni|host|dns|address", "names": [...],
"do": "reset|blackhole|lie", "reassemble": bool, "answers": [...]}.
"""

import json
import selectors
import socket
import sys
from dataclasses import dataclass, field
from typing import Any

from . import packets
from .nfqueue import ACCEPT, Queue
from .packets import Packet

QUEUE = 7
SWALLOW = 0x200  # packet mark that the nft text of censor.py turns into a dropped flow
REMEMBER_FLOWS, REMEMBER_BYTES = 5000, 32768
Rule = dict[str, Any]


@dataclass(slots=True)
class Stream:
    """What one direction of one connection said so far; the first copy of a byte wins, order does not matter."""

    start: int
    segments: dict[int, bytes] = field(default_factory=dict)

    def add(self, seq: int, payload: bytes) -> bytes:
        """Everything that is there without a gap."""
        self.segments.setdefault((seq - self.start) & 0xFFFFFFFF, payload)
        out = b""
        for offset in sorted(self.segments):
            if offset > len(out) or len(out) > REMEMBER_BYTES:
                break
            out += self.segments[offset][len(out) - offset:]
        return out


@dataclass(slots=True)
class Dpi:
    """Rules, and the beginnings of the streams that pass."""

    rules: list[Rule] = field(default_factory=list)
    streams: dict[tuple[bytes, int, bytes, int], Stream] = field(default_factory=dict)
    raw: dict[int, socket.socket] = field(default_factory=dict)

    def inject(self, packet: Packet) -> None:
        family = socket.AF_INET if len(packet.src) == 4 else socket.AF_INET6
        if family not in self.raw:
            self.raw[family] = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.raw[family].sendto(packets.build(packet), (socket.inet_ntop(family, packet.dst), 0))

    def mark(self, data: bytes) -> int:
        """Look at a packet, inject what the rules say; its mark: 0 or SWALLOW."""
        packet = packets.parse(data)
        if packet is None:
            return 0
        if packet.proto == packets.UDP:
            return self._dns(packet)
        whole = self._stream(packet)
        for rule in self.rules:
            if self._sees(rule, packet, whole):
                return self._act(rule, packet)
        return 0

    def _dns(self, packet: Packet) -> int:
        asked = packets.question(packet.payload) if packet.dport == 53 else None
        for rule in self.rules:
            if asked and rule["see"] == "dns" and packets.below(asked[0], rule["names"]):
                _, kind, end = asked
                answer = packets.dns_answer(packet.payload, end, kind, rule["answers"])
                self.inject(Packet(packet.dst, packet.src, packets.UDP, 53, packet.sport, answer))
        return 0

    def _stream(self, packet: Packet) -> bytes:
        if packet.flags & packets.SYN:
            if len(self.streams) > REMEMBER_FLOWS:
                self.streams.clear()
            self.streams[packet.flow] = Stream(packet.seq + 1)
        stream = self.streams.get(packet.flow)
        return stream.add(packet.seq, packet.payload) if stream and packet.payload else packet.payload

    def _sees(self, rule: Rule, packet: Packet, whole: bytes) -> bool:
        if rule["see"] == "address":
            family = socket.AF_INET if len(packet.src) == 4 else socket.AF_INET6
            ends = {socket.inet_ntop(family, packet.src), socket.inet_ntop(family, packet.dst)}
            return bool(ends & set(rule["names"])) and not packet.flags & packets.SYN
        data = whole if rule.get("reassemble") else packet.payload
        read = {"sni": packets.sni, "host": packets.http_host}.get(rule["see"])
        return read is not None and packets.below(read(data), rule["names"])

    def _act(self, rule: Rule, packet: Packet) -> int:
        if rule["do"] == "blackhole":
            return SWALLOW
        for reset in packets.resets(packet):
            self.inject(reset)
        return 0


def main() -> None:
    dpi, queue = Dpi(), Queue.open(QUEUE)
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    selector.register(queue.sock, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fd == sys.stdin.fileno():
                line = sys.stdin.readline()
                if not line:
                    return
                dpi.rules = json.loads(line)
                print("ok", flush=True)
            else:
                serve(dpi, queue)


def serve(dpi: Dpi, queue: Queue) -> None:
    try:
        for number, data in queue.receive():
            queue.verdict(number, ACCEPT, dpi.mark(data))
    except OSError as error:  # overload, or an injected packet that has no route: the censor is not perfect either
        print(f"dpi: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
