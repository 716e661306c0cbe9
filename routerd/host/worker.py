"""Runs trial.py: a list that somebody else wrote is read first where it can do no harm."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from routerd.host.children import NOBODY, reachable
from routerd.subscriptions import Refusal

SECONDS = 20.0
TRIAL = Path(__file__).with_name("trial.py")
WHY = "It could not be read with the memory and the time that a list may cost."


async def tried(text: str) -> None:
    """Raises Refusal."""
    child = await asyncio.create_subprocess_exec(
        *_argv(), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
    )
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await child.communicate(text.encode(errors="replace"))
    except TimeoutError:
        raise Refusal(WHY) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
    if child.returncode or said:
        raise Refusal(said.decode(errors="replace").strip()[:200] or WHY)


def _argv() -> tuple[str, ...]:
    """As nobody where it can be, and without any capability."""
    argv = (sys.executable, "-I", "-B", str(TRIAL))
    prefix = ["setpriv", "--pdeathsig", "SIGKILL", "--no-new-privs"]
    if os.geteuid() == 0:
        prefix += ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
        if reachable(argv):
            prefix += ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    return (*prefix, "--", *argv)
