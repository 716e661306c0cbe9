"""What is asked for is there, or is refused in words: names, texts, and changes of the settings file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from itertools import chain, count
from typing import Any

from routerd.daemon import Daemon
from routerd.model import Configured
from routerd.table import SettingsError


class ApiError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


Body = dict[str, Any]
Handler = Callable[[Daemon, dict[str, str], Body], Awaitable[tuple[int, Body]]]


def wanted(body: Body, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ApiError(400, "body", f"{key}: must be a text that is not empty")
    return value


def known(daemon: Daemon, name: str) -> str:
    if daemon.settings is None or name not in daemon.settings.transports:
        raise ApiError(404, "unknown_transport", f"{name!r}: there is no transport of that name")
    return name


def subscribed(daemon: Daemon, name: str) -> str:
    if daemon.settings is None or name not in daemon.settings.subscriptions:
        raise ApiError(404, "unknown_subscription", f"{name!r}: there is no subscription of that name")
    return name


def taken(daemon: Daemon) -> Collection[str]:
    return daemon.settings.transports if daemon.settings else ()


def free(names: Collection[str], name: str) -> str:
    """The name, or the name with a number behind it."""
    name = "".join(c for c in name if c.isprintable()).removeprefix("service:").strip()[:56].strip() or "transport"
    tries = chain([name], (f"{name} {i}" for i in count(2)))
    return next(t for t in tries if t not in names)


def edit(daemon: Daemon, change: Callable[[Any], None]) -> None:
    try:
        daemon.accept(daemon.file.edit(change))
    except SettingsError as e:
        raise ApiError(422, "settings", str(e)) from e
    daemon.put(Configured())
