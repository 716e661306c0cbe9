"""What desync has found, and searches that the owner asks for: between the API and the worker that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from routerd.daemon import Daemon
from routerd.desync.prior import HTTP, TLS
from routerd.diagnose import site_of
from routerd.host.asking import ask
from routerd.model import Starting, Up

# Where the transport was begun anew meanwhile, because nothing that it carries came through.
LOST = {"done": True, "strategy": None, "plain": False, "tried": 0, "met": False, "lost": True}


class NoDesync(Exception):
    """No transport of the kind runs."""


async def listed(daemon: Daemon) -> dict[str, Any]:
    """`{"known": [{"transport", "strategy", "sites"}]}`: no site is named, the worker does not know their names."""
    found = []
    for name, slot in _running(daemon).items():
        async for line in ask(slot, {"do": "list"}):
            found += [{"transport": name, **known} for known in line["known"]]
    return {"known": found}


async def searched(daemon: Daemon, host: str, *, http: bool) -> AsyncIterator[dict[str, Any]]:
    """Progress, and last the line that is `done`. Raises ValueError for what is no host, NoDesync, Unheard."""
    site = site_of(host)
    if not (running := _running(daemon)):
        raise NoDesync
    name, slot = next(iter(running.items()))
    numbered = (*TLS, *HTTP)
    question = {"do": "search", "host": site.host, "kind": "http" if http else "tls"}
    async for line in ask(slot, question, LOST):
        if number := line.pop("number", None):
            line["strategy"] = numbered[number - 1]
        elif number == 0:
            line["strategy"] = ""
        yield {"transport": name, **line}


def _running(daemon: Daemon) -> dict[str, int]:
    """Slots of those that run, the active one first."""
    settings, state = daemon.settings, daemon.state
    if settings is None:
        return {}
    names = [e.name for e in settings.transports.values() if e.transport.kind == "desync"]
    names = [n for n in names if isinstance(state.health.get(n), Starting | Up)]
    return {name: state.slots[name] for name in sorted(names, key=lambda name: name != state.active)}
