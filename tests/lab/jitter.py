"""A line that is late by fits and starts, run as a program on the ISP: jitter SECONDS [overtake].

How late it is changes several times a second, as where a queue before it fills and empties: packets keep their order.
With `overtake` each has a lateness of its own and they overtake each other, as with netem's delay (which the kernel
here lacks). They wait in a netfilter queue behind the censor's; without the program they pass.
"""

import contextlib
import heapq
import random
import selectors
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from .lab import Lab
from .net import wait_until
from .nfqueue import ACCEPT, Queue

QUEUE = 8
RULES = "".join(f"{t} -A FORWARD -j NFQUEUE --queue-num {QUEUE} --queue-bypass\n" for t in ("iptables-nft", "ip6tables-nft"))
CHANGES = 0.15  # seconds
BOUND = "/proc/net/netfilter/nfnetlink_queue"


@contextlib.contextmanager
def jitter(lab: Lab, seconds: float, overtake: bool = False) -> Iterator[None]:
    """All that passes the ISP is late by up to `seconds`, each way; what waits at the end goes on at once."""
    lab.isp.sh(RULES)
    program = lab.isp.module("jitter", str(seconds), *(["overtake"] if overtake else []))
    try:
        wait_until(lambda: f" {QUEUE} " in lab.isp.sh(f"cat {BOUND}"), 5, "the line is late")
        yield
    finally:
        lab.isp.sh(RULES.replace("-A", "-D"))
        program.kill()
        program.wait(5)


@dataclass(slots=True)
class Lateness:
    """When a packet may go on."""

    most: float
    overtake: bool
    now: float = 0.0
    until: float = 0.0
    last: float = 0.0

    def due(self, now: float) -> float:
        if self.overtake or now >= self.until:
            self.now, self.until = random.uniform(0, self.most), now + CHANGES
        self.last = now + self.now if self.overtake else max(self.last, now + self.now)
        return self.last


def main() -> None:
    queue, lateness = Queue.open(QUEUE), Lateness(float(sys.argv[1]), "overtake" in sys.argv)
    waiting = list[tuple[float, int]]()
    selector = selectors.DefaultSelector()
    selector.register(queue.sock, selectors.EVENT_READ)
    while True:
        if selector.select(max(0.0, waiting[0][0] - time.monotonic()) if waiting else None):
            for number, _ in queue.receive():
                heapq.heappush(waiting, (lateness.due(time.monotonic()), number))
        while waiting and waiting[0][0] <= time.monotonic():
            queue.verdict(heapq.heappop(waiting)[1], ACCEPT, 0)


if __name__ == "__main__":
    main()
