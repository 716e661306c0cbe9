"""Child processes: starts what should run, stops what should not, says when one has ended.

Each child dies with us (PR_SET_PDEATHSIG), runs without root where its program can be reached without it (an engine as
a user of its own), keeps no capability but those for networks, and gets its configuration on stdin. What it prints is
read and thrown away but for its last line: engines' messages name the household's destinations.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import stat
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from routerd.desync.crawl import DOUBT
from routerd.host import engines, helpers, sockets
from routerd.model import ENGINES, Helper

NOBODY = 65534
CAPABILITIES = "-all,+net_admin,+net_raw,+net_bind_service"
FEWER = {"desync": "-all,+net_admin,+net_raw"}
DYING = 0.5  # seconds that one which was killed is waited for
EARLY = 2.0  # seconds: a child that ends this soon could not start, and its last line says why
PRIVILEGED = ("wireguard-go", "amneziawg-go")  # makes its interface through /dev/net/tun and its socket under /var/run


@dataclass(frozen=True, slots=True)
class Child:
    """What should run. Equal children are the same child."""

    name: str
    argv: tuple[str, ...]
    stdin: str = field(default="", repr=False)
    uid: int = NOBODY
    keeps: bool = False
    tag: str = ""
    helpers: tuple[Helper, ...] = ()
    needs_one: bool = False


Report = Callable[[str, str], None]  # a child's name, and how it ended
Progress = Callable[[str, int], None]  # a child's name, and how far it has come, in percent
Doubt = Callable[[str], None]  # the name of a child that says that what it carries fails
BOOTSTRAPPED = re.compile(rb"Bootstrapped ([0-9]{1,3})%")  # tor


@dataclass(slots=True)
class _Running:
    child: Child
    process: Process
    uid: int
    watch: asyncio.Task[None]


class Children:
    """Holds what runs. `report` is called when a child ends by itself, or cannot be started."""

    def __init__(
        self,
        report: Report,
        progress: Progress = lambda _name, _percent: None,
        state: Path | None = None,
        doubt: Doubt = lambda _name: None,
    ) -> None:
        self._report = report
        self._progress = progress
        self._doubt = doubt
        self._state = state
        self._running: dict[str, _Running] = {}

    async def apply(self, wanted: Iterable[Child]) -> None:
        by_name = {child.name: child for child in wanted}
        gone = [r for name, r in self._running.items() if by_name.get(name) != r.child]
        await asyncio.gather(*(self._stop(running) for running in gone))
        for child in by_name.values():
            if child.name not in self._running:
                await self._start(child)

    def pids(self) -> dict[str, int]:
        return {name: running.process.pid for name, running in self._running.items()}

    async def _start(self, child: Child) -> None:
        try:
            argv = await asyncio.to_thread(engines.resolve, child.argv, child.tag)
            if child.needs_one:
                helpers.check(child.helpers)
            uid = user(argv, child)
            process = await asyncio.create_subprocess_exec(
                *confined(argv, child.argv[0], uid),
                stdin=PIPE,
                stdout=DEVNULL,
                stderr=PIPE,
                start_new_session=True,
                cwd=self._folder(child),
            )
        except OSError as e:
            self._report(child.name, str(e))
            return
        watch = asyncio.create_task(self._watch(child, process))
        self._running[child.name] = _Running(child, process, uid, watch)

    def _folder(self, child: Child) -> Path | None:
        """Where engines make folders of their own, as in /tmp: we may have no right to give them away (CAP_CHOWN)."""
        if not child.keeps or self._state is None:
            return None
        folder = self._state / "engines"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o1777)
        return folder

    async def _watch(self, child: Child, process: Process) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert process.stdin
        assert process.stderr
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write((child.stdin + helpers.configured(child.helpers)).encode())
            await process.stdin.drain()
        process.stdin.close()
        last = await _last_line(process.stderr, partial(self._said, child.name))
        status = await process.wait()
        if self._running.get(child.name, None) and self._running[child.name].process is process:
            del self._running[child.name]
            early = f": {last}" if last and loop.time() - started < EARLY else ""
            self._report(child.name, f"{child.argv[0]} {_how(status)}{early}")

    def _said(self, name: str, data: bytes) -> None:
        """All that is made of what an engine says while it runs."""
        if steps := BOOTSTRAPPED.findall(data):
            self._progress(name, int(steps[-1]))
        if DOUBT.encode() in data:
            self._doubt(name)

    async def _stop(self, running: _Running) -> None:
        """Resets its connections first: the household's apps learn at once that this way is gone."""
        if self._running.get(running.child.name) is not running:
            return  # it has ended by itself since it was told to go
        del self._running[running.child.name]
        _reset(running)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)
        # The kernel may take seconds to take its interface down, and it with that: nobody's next wish waits so long.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DYING):
                await running.process.wait()

    def reset(self, name: str) -> None:
        """Resets its connections; it goes on."""
        if running := self._running.get(name):
            _reset(running)

    async def stop_all(self) -> None:
        await self.apply(())


def _reset(running: _Running) -> None:
    with contextlib.suppress(OSError):
        sockets.reset(running.process.pid, running.uid if running.uid >= ENGINES else 0)


def user(argv: tuple[str, ...], child: Child) -> int:
    """Whom it runs as: itself where it can, us where it must (or where we are not root either)."""
    ours = os.geteuid()
    return child.uid if ours == 0 and child.argv[0] not in PRIVILEGED and reachable(argv) else ours


def confined(argv: tuple[str, ...], engine: str, uid: int) -> tuple[str, ...]:
    prefix = ["setpriv", "--pdeathsig", "SIGKILL"]
    able = FEWER.get(engine, CAPABILITIES)
    if engine not in PRIVILEGED and os.geteuid() == 0:
        prefix += [
            "--no-new-privs",
            f"--bounding-set={able}",
            f"--inh-caps={able}",
            f"--ambient-caps={able}",
        ]
        if uid:
            prefix += ["--reuid", str(uid), "--regid", str(NOBODY), "--clear-groups"]
    return (*prefix, "--", *argv)


def reachable(argv: tuple[str, ...]) -> bool:
    """Whether every file of the command can be read, and its folders entered, without being root."""
    return all(_open_to_all(Path(word)) for word in argv if word.startswith("/"))


def _open_to_all(path: Path) -> bool:
    try:
        real = path.resolve(strict=True)
        return bool(real.stat().st_mode & stat.S_IROTH) and all(
            p.stat().st_mode & stat.S_IXOTH for q in (path.absolute(), real) for p in q.parents
        )
    except OSError:
        return False


async def _last_line(stream: asyncio.StreamReader, said: Callable[[bytes], None]) -> str:
    """Reads to the end, in bounded memory (fault 10)."""
    tail = b""
    while data := await stream.read(1 << 14):
        said(data)
        tail = (tail + data)[-400:]
    lines = re.sub(r"\x1b\[[0-9;]*m", "", tail.decode(errors="replace")).strip().splitlines()
    return "".join(c for c in lines[-1] if c.isprintable())[:200] if lines else ""


def _how(status: int) -> str:
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
