"""The owner's diagnosis: opens the way for the box's own marked packets, has the stages tried, judges, closes it again.

One at a time. The host goes to the asker and nowhere else: not into State, the journal, the log or an error.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from routerd import lease
from routerd.daemon import Daemon
from routerd.diagnosis import Verdict, judge
from routerd.host.wan import line_of, resolvers_of_provider
from routerd.model import DIAGNOSE_SLOT, Address, Diagnosing, Up
from routerd.probe.around import DIRECT, Around, Notes, Way
from routerd.probe.examine import Site, examine
from routerd.probe.server import Server, cause_of
from routerd.settings import Entry, Settings
from routerd.table import is_address

ALLOWED = 30.0  # seconds that the ruleset may be open for it
LONGEST = 28.0  # seconds for all stages
ORDER = ("dns", "tcp", "tls, other name", "tls", "body", "http", "quic", "others", "server")


class Busy(Exception):
    """A diagnosis is under way."""


@dataclass(frozen=True, slots=True)
class Report:
    verdict: Verdict
    notes: Notes

    def as_json(self, host: str) -> dict[str, object]:
        stages = sorted(self.notes.stages, key=lambda s: (s.way != DIRECT, s.way, ORDER.index(s.stage)))
        return {
            "host": host,
            "verdict": self.verdict.code,
            "title": self.verdict.title,
            "explanation": self.verdict.explanation,
            "cure": self.verdict.cure,
            "stages": [asdict(stage) for stage in stages],
            "through": [asdict(one) for one in self.notes.through],
        }


def site_of(text: str) -> Site:
    """A host, an address, or a URL. ValueError for anything else; its text does not repeat it."""
    bare = f"[{text}]" if ":" in text and is_address(text) else text
    parts = urlsplit(bare if "://" in bare else f"https://{bare}")
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in ("https", "http") or parts.username is not None or not _is_host(host):
        raise ValueError("must be a host name, an address or a URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii() or not path.isprintable() or " " in path or len(path) > 2000:
        raise ValueError("the path must be written as it is in a request")
    return Site(host, (parts.port or 443) if parts.scheme == "https" else 443, path)


def _is_host(text: str) -> bool:
    if is_address(text):
        return "%" not in text
    labels = text.split(".")
    plain = all(0 < len(label) < 64 and label.replace("-", "a").replace("_", "a").isalnum() for label in labels)
    return plain and text.isascii() and len(text) < 254 and len(labels) > 1


async def diagnose(daemon: Daemon, settings: Settings, site: Site, *, direct: bool) -> Report:
    async with _under_way(daemon, direct):
        return await _judged(examine(site, await _around(daemon, settings, direct)))


async def diagnose_server(daemon: Daemon, settings: Settings, entry: Entry) -> Report:
    """What the network does to a transport's own server. ValueError while its address is not known."""
    server = _server(daemon, settings, entry)
    async with _under_way(daemon, True):
        around = await _around(daemon, settings, True, without=entry.name)
        return await _judged(cause_of(server, around, free=True))


def _server(daemon: Daemon, settings: Settings, entry: Entry) -> Server:
    transport = entry.transport
    if entry.via:
        raise ValueError(f"it travels inside {entry.via}, so the network does not see its server")
    known = _known(daemon, settings, entry)
    if not known:
        raise ValueError("its server's name has no address yet")
    if ip_address(known[0]).is_unspecified:
        raise ValueError("it has no one server to look at; diagnose a site instead")
    located = transport if known[0] == transport.server else dataclasses.replace(transport, server=str(known[0]))
    own = located.launch(entry.name, 0).upstreams
    mute = transport.kind in ("wireguard", "amneziawg") or bool(getattr(transport, "obfs_password", ""))
    name = getattr(getattr(transport, "security", transport), "sni", "")
    return Server(str(known[0]), transport.port, own[0].proto, name, mute)


def _known(daemon: Daemon, settings: Settings, entry: Entry) -> tuple[str | Address, ...]:
    """Its server's addresses."""
    server = entry.transport.server
    if lease.asks_it(entry):
        found = lease.resolver(settings, daemon.state)
        return (found,) if found else ()
    return (server,) if is_address(server) else daemon.state.addresses.get(server, ())


@asynccontextmanager
async def _under_way(daemon: Daemon, direct: bool) -> AsyncIterator[None]:
    if daemon.diagnosing:
        raise Busy
    daemon.diagnosing = True
    try:
        async with asyncio.timeout(LONGEST):
            if direct:
                await _open(daemon)
            yield
    finally:
        daemon.diagnosing = False
        daemon.put(Diagnosing(None))


async def _open(daemon: Daemon) -> None:
    """Returns when the ruleset is in force: listeners are told behind each apply, of the State that was applied."""
    in_force = asyncio.Event()

    def told() -> None:
        if daemon.state.diagnosing_until is not None:
            in_force.set()

    daemon.listeners.add(told)
    try:
        daemon.put(Diagnosing(time.monotonic() + ALLOWED))
        await in_force.wait()
    finally:
        daemon.listeners.discard(told)


async def _around(daemon: Daemon, settings: Settings, direct: bool, without: str = "") -> Around:
    state = daemon.state
    direct = direct and not state.faults.keys() & {"ruleset", "routing", "guard"}  # our own silence is no censor's
    ups = [name for name, health in state.health.items() if isinstance(health, Up) and name != without]
    # The control is another country's line: what goes straight out is this one, and shows the host to it besides.
    ups = [name for name in ups if not settings.transports[name].transport.carries.straight]
    ups.sort(key=lambda name: name != state.active)
    return Around(
        direct=Way(DIRECT, DIAGNOSE_SLOT) if direct else None,
        exits=tuple(Way(name, state.slots[name]) for name in ups),
        references=settings.targets,
        resolvers=tuple(urlsplit(url).hostname or "" for url in settings.resolvers),
        provider=resolvers_of_provider(),
        line=await line_of(settings.wan),
    )


async def _judged(trying: Coroutine[None, None, Notes]) -> Report:
    notes = await trying
    return Report(judge(notes.evidence(), notes.detail), notes)
