"""Ends what a lab started, when the lab is gone.

Run as a program it waits on stdin; `net INODE` and `dir PATH` lines say what belongs to the lab, `done` means that
the lab has cleaned up by itself. At end of file (the lab was killed) it kills every process in those network
namespaces and removes the directories. A process is the lab's exactly when its network namespace is.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path


def processes_in(inodes: Collection[int]) -> list[int]:
    """Process ids, whole machine, whose network namespace has one of these inode numbers."""
    wanted = {f"net:[{inode}]" for inode in inodes}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if str((entry / "ns" / "net").readlink()) in wanted:
                    found.append(int(entry.name))
    return found


def kill_all(inodes: Collection[int], spare: Collection[int] = ()) -> None:
    """SIGKILL until nothing but `spare` is left there; children that fork meanwhile need a second look."""
    for _ in range(100):
        left = [pid for pid in processes_in(inodes) if pid not in spare and pid != os.getpid()]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def end(inodes: Collection[int], holders: Collection[int]) -> None:
    """Programs first and the namespaces' holders last, so that no inode number can be reused while we look."""
    kill_all(inodes, spare=holders)
    kill_all(inodes)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    inodes: set[int] = set()
    holders: set[int] = set()
    directories: list[str] = []
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "done":
            return
        if word == "net":
            inode, holder = rest.split()
            inodes.add(int(inode))
            holders.add(int(holder))
        elif word == "dir":
            directories.append(rest)
    end(inodes, holders)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
