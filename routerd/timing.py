"""The part of apply that is about time: the clock shows what the plan says, and the plan's sources are asked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from routerd.host.clock import ClockError, SystemClock, Watch
from routerd.model import Clock, ClockSet, Doubted, Drifted, Event
from routerd.probe.timekeeper import Timekeeper

UNKNOWN = "the date is not known yet"


class Timing:
    """`put` gets events. `report(what, error)` gets what is wrong with the clock. `state`: where the floor is kept."""

    def __init__(self, put: Callable[[Event], None], report: Callable[[str, str], None], state: Path | None) -> None:
        self._put = put
        self._report = report
        self._system = SystemClock(state)
        self._watch = Watch(self.look)
        self._timekeeper = Timekeeper(put, lambda: self._system.floor)
        self._booted: float | None = None

    def start(self) -> None:
        """A clock that cannot be right is put where it may be; one that may be too late is doubted."""
        try:
            if by := self._system.lift():
                self._put(ClockSet(by))
                self._report("clock_wrong", UNKNOWN)
        except ClockError as e:
            self._report("clock_wrong", str(e))
        if self._system.doubtful():
            self._put(Doubted())
        self._watch.start()

    def stop(self) -> None:
        self._timekeeper.stop()
        self._watch.stop()
        self._remember()

    def keep(self, clock: Clock) -> None:
        """Sets the clock where it differs. May be repeated at will."""
        if clock.booted is None:
            return
        try:
            if by := self._system.keep(clock.booted):
                self._put(ClockSet(by))
            self._report("clock_wrong", "")
        except ClockError as e:
            self._report("clock_wrong", str(e))

    def ask(self, clock: Clock) -> None:
        """To be called once the ways are open."""
        self._timekeeper.apply(clock)
        if clock.booted != self._booted:
            self._booted = clock.booted
            self._remember()

    def look(self) -> None:
        """Whether someone has set the clock."""
        if self._booted is not None and self._system.off(self._booted):
            self._put(Drifted("clock"))

    def _remember(self) -> None:
        if self._booted is not None:
            with contextlib.suppress(OSError):  # a full disk must not stop the household
                self._system.remember(self._booted)
