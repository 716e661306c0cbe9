"""Bridges of Moat's, kept fresh: asked for through what carries the household, else they wait; the last good ones stay.

They are in use at once at a start. A Tor that works is never disturbed: newer ones wait until it does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from routerd.host.disk import write
from routerd.moat import Kept, Refusal, fails, lines_of, merged, questions, read, recalled, shipped, source, works
from routerd.model import State
from routerd.probe.https import ProbeError
from routerd.probe.lists import post
from routerd.settings import Settings
from routerd.transports.tor import Bridge

LIMIT = 1 << 18  # bytes of our file
EVERY = 6 * 3600.0  # seconds between answers, at least, roughly
SOON = 300.0  # seconds after a failure; doubled each time


class BridgeFeed:
    """`renewed` is called when other bridges are to be used; `note` gets lines for the journal."""

    def __init__(self, file: Path, renewed: Callable[[], None], note: Callable[[str, str], None]) -> None:
        self._file = file
        self._renewed = renewed
        self._note = note
        self._own: Settings | None = None
        self._kept = Kept()
        self._used: tuple[Bridge, ...] | None = None  # None: nobody has looked yet
        self._works = False
        self._way: tuple[int, int] | None = None  # the slot to ask through, and how many resolvers there are
        self._open = asyncio.Event()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def merge(self, settings: Settings) -> Settings:
        """The settings with Moat's bridges where they are wanted."""
        if self._used is None:
            self._load()
        if self._own is None or source(self._own) != source(settings):
            self.stop()  # another country is another question
            self._failures = 0
        self._own = settings
        return merged(settings, self._used or ())

    def apply(self, settings: Settings | None, state: State, slot: int | None, resolvers: int) -> None:
        """`slot`: of the exit that carries the household now."""
        if settings is None or self._own is None or not shipped(self._own):
            self.stop()
            return
        self._works = works(settings, state)
        self._way = None if slot is None else (slot, resolvers)
        wanted = self._way is not None and (self._is_new or fails(settings, state))
        (self._open.set if wanted else self._open.clear)()
        if fails(settings, state):
            self._take()
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        if self._task:
            self._task.cancel()
            self._task = None

    @property
    def _is_new(self) -> bool:
        """Whether what is asked now was never answered."""
        return self._own is not None and self._kept.source != _hash(source(self._own))

    # -- in time --------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._pause())
            await self._open.wait()
            await self._ask()

    def _pause(self) -> float:
        """Seconds. Uneven, and what was answered before a restart is not asked again because of it."""
        if self._failures:
            return min(EVERY, SOON * 2.0 ** min(self._failures - 1, 10)) * random.uniform(0.7, 1.3)
        due = 0.0 if self._is_new else self._kept.at + EVERY * random.uniform(0.8, 1.2) - time.time()
        return min(1.2 * EVERY, max(0.0, due))

    async def _ask(self) -> None:
        if self._way is None or self._own is None:
            return
        own = self._own
        try:
            found = await _answered(own, *self._way)
        except (ProbeError, Refusal) as e:
            self._failures += 1
            self._note("bridges", f"Moat gave none: {e}")
            return
        self._failures = 0
        self._kept = Kept(lines_of(found), _hash(source(own)), time.time())
        with contextlib.suppress(OSError):  # a full disk must not stop the household
            write(self._file, json.dumps(asdict(self._kept)))
        self._note("bridges", f"Moat gave {len(found)}")
        if not self._works:
            self._take()

    def _take(self) -> None:
        """What was answered last is used from now on."""
        found = recalled(self._kept.lines)
        if found and found != self._used:
            self._used = found
            self._renewed()

    def _load(self) -> None:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):  # as if there were none
            with self._file.open("rb") as file:
                found = json.loads(file.read(LIMIT))
            lines = tuple(line for line in found["lines"] if isinstance(line, str))
            self._kept = Kept(lines, str(found["source"]), float(found["at"]))
        self._used = recalled(self._kept.lines)


async def _answered(own: Settings, slot: int, resolvers: int) -> tuple[Bridge, ...]:
    """Raises ProbeError; Refusal, where none of the answers has a bridge in it."""
    refusal = Refusal("Nothing was asked.")
    for question in questions(own.country):
        text = await post(own.moat + question.path, question.body, slot, resolvers)
        try:
            return read(text, shipped(own))
        except Refusal as e:
            refusal = e
    raise refusal


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
