"""A line that is late by fits and starts, run as a program on the ISP: jitter SECONDS.

Each packet waits a random time up to that, each way, and packets overtake each other, as with netem's delay (which the
kernel here lacks). They wait in a netfilter queue behind the censor's; without the program they pass.
"""

import contextlib
import heapq
import random
import selectors
import sys
import time
from collections.abc import Iterator

from .lab import Lab
from .net import wait_until
from .nfqueue import ACCEPT, Queue

QUEUE = 8
RULES = "".join(f"{t} -A FORWARD -j NFQUEUE --queue-num {QUEUE} --queue-bypass\n" for t in ("iptables-nft", "ip6tables-nft"))
BOUND = "/proc/net/netfilter/nfnetlink_queue"


@contextlib.contextmanager
def jitter(lab: Lab, seconds: float) -> Iterator[None]:
    """All that passes the ISP is late by up to `seconds`, each way; what waits at the end goes on at once."""
    lab.isp.sh(RULES)
    program = lab.isp.module("jitter", str(seconds))
    try:
        wait_until(lambda: f" {QUEUE} " in lab.isp.sh(f"cat {BOUND}"), 5, "the line is late")
        yield
    finally:
        lab.isp.sh(RULES.replace("-A", "-D"))
        program.kill()
        program.wait(5)


def main() -> None:
    queue, most, waiting = Queue.open(QUEUE), float(sys.argv[1]), list[tuple[float, int]]()
    selector = selectors.DefaultSelector()
    selector.register(queue.sock, selectors.EVENT_READ)
    while True:
        if selector.select(max(0.0, waiting[0][0] - time.monotonic()) if waiting else None):
            for number, _ in queue.receive():
                heapq.heappush(waiting, (time.monotonic() + random.uniform(0, most), number))
        while waiting and waiting[0][0] <= time.monotonic():
            queue.verdict(heapq.heappop(waiting)[1], ACCEPT, 0)


if __name__ == "__main__":
    main()
