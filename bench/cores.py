"""The router as a machine of its own: its programs, and the packets that it takes in, get the last core.

On two cores that five programs share it is the scheduler's lottery that decides: the same way measured against itself
differs by 20 %. With the router apart it is the bottleneck, as it is in a house.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from tests.lab import Host, Lab

STEER = "for queue in /sys/class/net/*/queues/rx-0/rps_cpus; do echo {mask:x} > $queue; done"


def apart(lab: Lab, routers: Iterable[Host]) -> None:
    """Of a lab whose routers are these; to be repeated when programs were started since."""
    cores = sorted(os.sched_getaffinity(1))
    if len(cores) < 2:
        return
    others, last = set(cores[:-1]), {cores[-1]}
    for host in lab.net.hosts.values():
        mine = last if host in routers else others
        _pin(host, mine)
        host.sh(STEER.format(mask=sum(1 << core for core in mine)))
    os.sched_setaffinity(0, others)


def _pin(host: Host, cores: set[int]) -> None:
    """All that runs on `host`; what it starts later inherits it."""
    room = os.readlink(f"/proc/{host.pid}/ns/net")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended, or is none of ours
            if os.readlink(f"/proc/{pid}/ns/net") == room:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    os.sched_setaffinity(int(thread), cores)
