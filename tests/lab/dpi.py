"""The censor's eye, run as a program on the ISP: holds each flow's first packets, and does what judge.py decides.

Packets arrive through a netfilter queue, so what it injects is always faster than the true answer. Rules come as JSON
lists, one per line, on stdin; each is answered with `ok`. A rule: the fields of judge.Rule.
"""

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from . import packets
from .judge import Decision, Judge, Rule
from .nfqueue import ACCEPT, DROP, Queue
from .packets import Packet

QUEUE = 7


def read_rule(fields: dict[str, Any]) -> Rule:
    """JSON knows no tuples."""
    known: dict[str, Any] = {key: tuple(it) if isinstance(it, list) else it for key, it in fields.items()}
    return Rule(**known)


@dataclass(slots=True)
class Dpi:
    """The judge, and the sockets that inject."""

    judge: Judge = field(default_factory=Judge)
    raw: dict[int, socket.socket] = field(default_factory=dict)

    def inject(self, packet: Packet) -> None:
        family = socket.AF_INET if len(packet.src) == 4 else socket.AF_INET6
        if family not in self.raw:
            self.raw[family] = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.raw[family].sendto(packets.build(packet), (socket.inet_ntop(family, packet.dst), 0))

    def decide(self, data: bytes) -> Decision:
        """Look at a packet, and inject what the judge says."""
        packet = packets.parse(data)
        decision = self.judge.decide(packet, time.monotonic()) if packet else Decision()
        for one in decision.inject:
            self.inject(one)
        return decision


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
                dpi.judge.set(map(read_rule, json.loads(line)))
                print("ok", flush=True)
            else:
                serve(dpi, queue)


def serve(dpi: Dpi, queue: Queue) -> None:
    try:
        for number, data in queue.receive():
            decision = dpi.decide(data)
            queue.verdict(number, DROP if decision.drop else ACCEPT, decision.mark)
    except OSError as error:  # overload, or an injected packet that has no route: the censor is not perfect either
        print(f"dpi: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
