"""`@alone`: the test runs in a child process with a network namespace of its own, and never touches the machine's."""

import ctypes
import functools
import os
import subprocess
import traceback
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")
CLONE_NEWNET = 0x40000000


def alone(test: Callable[P, None]) -> Callable[P, None]:
    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            _live(theirs, lambda: test(*args, **kwargs))
        os.close(theirs)
        with os.fdopen(ours) as told:
            error = told.read()
        os.waitpid(child, 0)
        assert not error, f"in its namespace:\n{error}"

    return run


def _live(report: int, test: Callable[[], None]) -> None:
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        sh("ip link set lo up")
        test()
    except BaseException:
        os.write(report, traceback.format_exc()[-60000:].encode())
    os._exit(0)


def sh(command: str) -> str:
    found = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
    assert not found.returncode, f"{command}: {found.stderr}"
    return found.stdout


def household() -> None:
    """The two sides of a box, without anybody behind them."""
    for name in ("eth0", "br-lan"):
        sh(f"ip link add {name} type veth peer name {name}-far && ip link set {name} up && ip link set {name}-far up")
    sh("ip addr add 192.168.77.1/24 dev br-lan; ip -6 addr add fd77:77:77::1/64 dev br-lan nodad")
    sh("ip addr add 198.51.100.2/24 dev eth0; ip route add default via 198.51.100.1")
