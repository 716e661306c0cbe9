"""The system's clock: read, set, and the latest date that we were sure of, kept on disk."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from routerd.clock import DOUBT, believable, correction, distance, lowest
from routerd.host.disk import write

_TIME_ERROR = 5  # adjtimex(2): nothing keeps the clock synchronised
_TIMEX = 512  # bytes; struct timex takes 208 where `long` has 64 bits
_ABSTIME, _CANCEL_ON_SET = 1, 2  # linux/timerfd.h; Python has names for them from 3.13 on


class ClockError(OSError):
    """The clock is wrong and stays so; says how wrong, and why it stays so."""


def uptime() -> float:
    """Seconds since boot, sleep included; goes on evenly whatever the clock is set to."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SystemClock:
    """`folder` keeps the floor; without one, the build's date is all there is."""

    def __init__(self, folder: Path | None) -> None:
        self._file = folder / "date" if folder else None

    @property
    def floor(self) -> float:
        saved: float | None = None
        if self._file:
            with contextlib.suppress(OSError, ValueError):
                saved = float(self._file.read_text())
        return lowest(saved)

    def lift(self) -> float:
        """Puts a clock that cannot be right to the floor, from where most certificates are good. By how much."""
        now, floor = time.time(), self.floor
        return 0.0 if believable(now, floor) else _set(correction(now, floor))

    def doubtful(self) -> bool:
        return time.time() > self.floor + DOUBT

    def off(self, booted: float) -> float:
        """How far it is off, in seconds; 0 when it is right enough."""
        return correction(time.time(), booted + uptime())

    def keep(self, booted: float) -> float:
        """Sets it if it is off. By how much."""
        by = self.off(booted)
        return _set(by) if by else 0.0

    def remember(self, booted: float) -> None:
        """Writes the floor. An error of a second or two must not make the next boot refuse the right date."""
        if self._file:
            write(self._file, f"{booted + uptime() - 60:.0f}\n")


class Watch:
    """Calls `jumped` whenever anyone sets the clock: the kernel cancels a timer of ours then, which else never ends."""

    def __init__(self, jumped: Callable[[], None]) -> None:
        self._jumped = jumped
        self._fd = -1

    def start(self) -> None:
        """Without such a timer there is still the sweep."""
        self._fd = ctypes.CDLL(None).timerfd_create(time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd >= 0:
            asyncio.get_running_loop().add_reader(self._fd, self._cancelled)
            self._arm()

    def stop(self) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _cancelled(self) -> None:
        with contextlib.suppress(OSError):  # ECANCELED, which is the message
            os.read(self._fd, 8)
        self._arm()
        self._jumped()

    def _arm(self) -> None:
        never = (ctypes.c_long * 4)(0, 0, sys.maxsize, 0)  # struct itimerspec: the interval, the end
        ctypes.CDLL(None).timerfd_settime(self._fd, _ABSTIME | _CANCEL_ON_SET, never, None)


def _set(by: float) -> float:
    """Another program's clock (NTP, a GPS receiver) is left alone, as long as the kernel says that it is in step."""
    if _synchronised():
        raise ClockError(f"it is {distance(by)}, and another program keeps it so")
    try:
        time.clock_settime(time.CLOCK_REALTIME, time.time() + by)
    except OSError as e:
        raise ClockError(f"it is {distance(by)}, and cannot be set: {e.strerror}") from e
    return by


def _synchronised() -> bool:
    state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX))
    return 0 <= state < _TIME_ERROR
