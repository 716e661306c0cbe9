"""The loop: events -> step -> State -> plan -> Plan -> apply. One task owns State; the rest put events on its queue."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from routerd import __version__
from routerd.bridgefeed import BridgeFeed
from routerd.clock import distance
from routerd.feeds import Feeds
from routerd.file import ConfigFile
from routerd.memory import Memory
from routerd.model import ClockSet, Configured, Down, Drifted, Event, Misapplied, State, Status, Suspected, Tick, Up
from routerd.plan import closed, covered_way, plan
from routerd.settings import Settings
from routerd.status import Beside, present, status
from routerd.subscriptions import changed
from routerd.table import SettingsError
from routerd.watchdog import deadline, step, take
from routerd.world import World, prepare_leases

JOURNAL = 200  # lines kept, in memory only


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the journal: what we did, never what the household did."""

    at: str
    kind: str
    text: str


@dataclass(slots=True)
class Daemon:
    """Holds Settings and State. Everything here runs in one event loop.

    `own`: the settings as the owner wrote them; `settings` have the nodes of his subscriptions, and Moat's bridges.
    """

    file: ConfigFile
    runtime: Path
    state: State = field(default_factory=State)
    settings: Settings | None = None
    own: Settings | None = None
    journal: deque[Line] = field(default_factory=lambda: deque(maxlen=JOURNAL))
    events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    listeners: set[Callable[[], None]] = field(default_factory=set)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    beat: Callable[[], None] = lambda: None
    diagnosing: bool = False  # one at a time
    troubles: dict[str, float] = field(default_factory=dict)  # since when each problem is there
    world: World = field(init=False)
    memory: Memory = field(init=False)
    feeds: Feeds = field(init=False)
    bridges: BridgeFeed = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self.put, self.file.state)
        self.memory = Memory(self.file.state)
        self.feeds = Feeds(self.file.state / "subscriptions", self._renewed, self._tell, self.note)
        self.bridges = BridgeFeed(self.file.state / "bridges.json", self._renewed, self.note)
        self.state = self.memory.recall()

    def put(self, event: Event) -> None:
        self.events.put_nowait(event)

    async def run(self) -> None:
        """Until cancelled. The first apply closes; only a probe that came through opens."""
        async with self.world:
            if error := self.read_settings():
                print(f"routerd: {error}; nothing leaves the box until it is mended", file=sys.stderr, flush=True)
            try:
                while True:
                    await self._apply()
                    event = await self._next()
                    await self._handle(event)
                    while not self.events.empty():
                        await self._handle(self.events.get_nowait())
            finally:
                self.feeds.stop()
                self.bridges.stop()

    async def _handle(self, event: Event) -> None:
        before = self.state
        if isinstance(event, Drifted):
            await self.world.mend(event.what)
            return
        if isinstance(event, ClockSet):
            self.started += timedelta(seconds=event.by)
            self.note("clock", f"was {distance(event.by)}; set")
        if isinstance(event, Suspected) and self.world.puts_sysctls_right():
            return  # that was why; where it was not, it is said again in a second
        now = time.monotonic()
        self.state = step(self.settings, self.state, event, now) if self.settings else take(self.state, event, now)
        if before.active != self.state.active:
            self.started = datetime.now(UTC)
            self.memory.keep(self.state)
        self.troubles = {code: self.troubles.get(code, now) for code in self._present()}
        for line in _news(before, self.state, self.settings):
            self.note(*line)

    async def _next(self) -> Event:
        """The next event, or a Tick when a deadline comes first."""
        now = time.monotonic()
        due = deadline(self.state, now)
        try:
            async with asyncio.timeout(min(5.0, due - now) if due is not None else 5.0):
                return await self.events.get()
        except TimeoutError:
            return Tick()

    async def _apply(self) -> None:
        leases = str(prepare_leases(self.runtime))
        shown = plan(self.settings, self.state, leases) if self.settings else closed(self.file.last_good(), leases)
        await self.world.apply(shown)
        way = covered_way(self.settings, self.state, shown.launches) if self.settings else None
        self.feeds.apply(way, shown.resolvers)
        self.bridges.apply(self.settings, self.state, way, shown.resolvers)
        self.beat()
        self._tell()

    def _tell(self) -> None:
        for tell in tuple(self.listeners):
            tell()

    # -- settings ---------------------------------------------------------------------------------------------------

    def read_settings(self) -> str:
        """Reads the file again. Returns the error; the settings before stay in force."""
        try:
            settings = self.file.read()
        except SettingsError as e:
            self.put(Misapplied("settings" if self.settings is None else "settings_kept", str(e)))
            return str(e)
        self.accept(settings)
        return ""

    def accept(self, settings: Settings) -> None:
        self.own = settings
        self._renewed()
        for what in ("settings", "settings_kept"):
            self.put(Misapplied(what, ""))
        self.world.watch_wan(settings.wan)

    def _renewed(self) -> None:
        """The owner's settings, or the nodes of a subscription, are others."""
        if self.own is not None:
            before, self.settings = self.settings, self.bridges.merge(self.feeds.merge(self.own))
            self.put(Configured(changed(before, self.settings)))

    def _present(self) -> frozenset[str]:
        return present(self.settings, self.state, self.feeds.reports())

    def status(self) -> Status:
        now = time.monotonic()
        lasting = {code: now - since for code, since in self.troubles.items()}
        beside = Beside(self.started, self.world.traffic(), lasting, self.feeds.reports())
        return status(self.settings, self.state, beside, __version__)

    def note(self, kind: str, text: str) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.journal.append(Line(at, kind, text))


def _news(before: State, after: State, settings: Settings | None) -> list[tuple[str, str]]:
    """What changed, in words. That one of many nodes does not work is no news, unless it did."""
    lines = []
    nodes = {name for name, entry in settings.transports.items() if entry.group} if settings else set()
    if before.active != after.active:
        lines.append(("switch", _through(after.active, settings)))
    for name, health in after.health.items():
        was = before.health.get(name)
        if isinstance(health, Down) and not isinstance(was, Down) and (name not in nodes or isinstance(was, Up)):
            lines.append(("down", f"{name}: {health.error}"))
        elif isinstance(health, Up) and not isinstance(was, Up):
            lines.append(("up", name))
    if before.wan_up != after.wan_up:
        lines.append(("wan", "the line is back" if after.wan_up else "the line is down"))
    for what, error in after.faults.items():
        if before.faults.get(what) != error:
            lines.append((what, error))
    return lines


def _through(name: str | None, settings: Settings | None) -> str:
    if name is None:
        return "no way out: the household is refused"
    entry = settings.transports.get(name) if settings else None
    return f"now through {name}" + (", straight out" if entry and entry.transport.carries.straight else "")
