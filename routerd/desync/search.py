"""The searches under way: starts the process that looks (seek.py), hears what it finds, and tells who waits for it."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routerd.desync.choice import Choice
from routerd.desync.flow import Ask, Sign

SEEK = Path(__file__).with_name("seek.py")
MOST = 6  # at a time: a browser opens that many sites, and each costs some tries
Line = dict[str, Any]
Listener = Callable[[Line], None]


@dataclass(slots=True)
class _Search:
    ask: Ask
    listeners: list[Listener] = field(default_factory=list)


class Searches:
    """`lost` is called when nothing was found to help a site that the household wants."""

    def __init__(self, choice: Choice, slot: int, selector: selectors.BaseSelector, lost: Callable[[], None]) -> None:
        self._choice = choice
        self._lost = lost
        self._slot = slot
        self._selector = selector
        self._running: dict[int, _Search] = {}
        self._last = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def begin(self, ask: Ask, host: str, address: str, sign: Sign, listener: Listener | None = None) -> None:
        """`host`: a name, or an address. `sign`: what began it. What is looked for already is not looked for twice."""
        site = self._choice.site(ask.kind, ask)
        same = next((s for s in self._running.values() if self._choice.site(s.ask.kind, s.ask) == site), None)
        if same is None and len(self._running) >= MOST:
            self._choice.interrupted(ask, time.monotonic())
            if listener:
                listener({"done": True, "strategy": None, "plain": False, "tried": 0, "met": False, "busy": True})
            return
        if same is None:
            self._last += 1
            same = self._running[self._last] = _Search(ask)
            job = {"site": self._last, "kind": ask.kind, "host": host, "address": address, "won": self._choice.won}
            self._tell({**job, "slot": self._slot, "sign": sign})
        if listener:
            same.listeners.append(listener)

    def _tell(self, job: Line) -> None:
        for _ in range(2):  # one that has just ended for want of work is started again
            child = self._child or self._start()
            assert child.stdin
            try:
                child.stdin.write(json.dumps(job).encode() + b"\n")
                child.stdin.flush()
                return
            except OSError:
                self._ended()

    def _start(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-I", "-B", str(SEEK)]
        child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert child.stdout
        self._selector.register(child.stdout, selectors.EVENT_READ, self._hear)
        self._child, self._rest = child, b""
        return child

    def _hear(self) -> None:
        child = self._child
        assert child
        assert child.stdout
        data = child.stdout.read1(1 << 16)  # type: ignore[attr-defined]
        if not data:
            self._ended()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._found(json.loads(line))

    def _found(self, line: Line) -> None:
        search = self._running.get(line.pop("site"))
        if search is None:
            return
        if line.get("done"):
            self._running = {n: s for n, s in self._running.items() if s is not search}
            if line["met"]:
                self._choice.found(search.ask, line["strategy"], time.monotonic(), plain=line["plain"])
            else:  # nobody answered at all: it may be the line, or the site is down
                self._choice.interrupted(search.ask, time.monotonic())
            if not line["plain"] and line["strategy"] is None:
                self._lost()
        for listener in search.listeners:
            listener(line)

    def _ended(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdout
        assert child.stdin
        self._selector.unregister(child.stdout)
        child.stdout.close()
        child.stdin.close()
        child.wait()
        lost, self._running = self._running, {}
        for search in lost.values():
            self._choice.interrupted(search.ask, time.monotonic())
            for listener in search.listeners:
                listener({"done": True, "strategy": None, "plain": False, "tried": 0, "met": False})
