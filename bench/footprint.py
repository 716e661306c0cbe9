"""Memory and idle work of the two daemons, with three warm transports and nobody using the house."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.report import Row, Samples
from tests.lab import Lab, wait_until
from tests.lab.box import Box
from tests.lab.net import ROOT

WEB_PORT = 8080
TICKS = os.sysconf("SC_CLK_TCK")


def rows(lab: Lab, box: Box, seconds: float) -> Iterator[Row]:
    assert box.daemon
    web = _start_web(lab, box)
    pids = {"routerd": box.daemon.pid, "routerd-web": web}
    time.sleep(2)
    began, before = time.monotonic(), {name: cpu_seconds(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    took = time.monotonic() - began
    for (name, pid), most, idle in zip(pids.items(), (60.0, 50.0), (0.5, 1.0), strict=True):
        share = (cpu_seconds(pid) - before[name]) / took * 100
        yield Row(f"memory of its own: {name}", Samples("MB", (unique_bytes(pid) / 1e6,)), ceiling=most)
        yield Row(f"idle CPU over {seconds:.0f} s: {name}", Samples("% of a core", (share,)), ceiling=idle)


def unique_bytes(pid: int) -> int:
    """The unique set size: pages that this process shares with no other (proc(5), smaps_rollup)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def cpu_seconds(pid: int) -> float:
    """User and system time of the process, its threads included (proc(5): fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _start_web(lab: Lab, box: Box) -> int:
    """Started and asked for a page a few times; its process id."""
    state = box.folder / "web"
    state.mkdir(mode=0o700)
    argv = [sys.executable, "-m", "webui", "--listen", f"127.0.0.1:{WEB_PORT}", "--socket", str(box.socket)]
    child = lab.router.popen([*argv, "--state-dir", str(state)], log="routerd-web", cwd=ROOT)
    where = f"routerd-web listens; see {lab.router.directory}/routerd-web.log"
    wait_until(lambda: lab.router.listens("tcp", WEB_PORT), 15, where)
    for _ in range(5):
        lab.router.curl(f"http://127.0.0.1:{WEB_PORT}/", "-L", "-o", "/dev/null")
    return child.pid
