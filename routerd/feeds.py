"""Subscriptions, kept up to date: fetched through what carries the household, else they wait; the last good list stays.

The folder holds a file for each, 0600. What is fetched is read by a child first (host/worker.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from routerd.host.disk import write
from routerd.host.worker import tried
from routerd.model import Differences, SubscriptionStatus
from routerd.probe.https import ProbeError
from routerd.probe.lists import Got, Validators, fetch_list
from routerd.settings import Settings, Subscription
from routerd.subscriptions import Copy, Facts, Listed, Nodes, Refusal, differences, facts, merged, named, read

LIMIT = 32 << 20  # bytes of a file of ours
HOUR = 3600.0
USUALLY, AT_LEAST, AT_MOST = 12, 1, 168  # hours between updates, as the provider may say
SOON = 300.0  # seconds after a failure; doubled each time


@dataclass(slots=True)
class _Feed:
    asked: Subscription
    copy: Copy
    nodes: Nodes = field(default_factory=dict)
    rejected: int = 0
    latest: Differences = field(default_factory=Differences)
    pending: Differences | None = None
    error: str = ""
    failures: int = 0
    again: float = 0.0  # monotonic: not before that
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: asyncio.Task[None] | None = None


class Feeds:
    """`renewed` is called when the nodes are others, `told` when a report is; `note` gets lines for the journal."""

    def __init__(
        self,
        folder: Path,
        renewed: Callable[[], None],
        told: Callable[[], None],
        note: Callable[[str, str], None],
    ) -> None:
        self._folder = folder
        self._renewed = renewed
        self._told = told
        self._note = note
        self._feeds: dict[str, _Feed] = {}
        self._way: tuple[int, int] | None = None  # the slot to ask through, and how many resolvers there are
        self._open = asyncio.Event()

    def merge(self, settings: Settings) -> Settings:
        """The settings with all nodes. Takes on what is new in them, and lets go of what they no longer have."""
        for name in [name for name in self._feeds if name not in settings.subscriptions]:
            self._stop(self._feeds.pop(name))
        for name, asked in settings.subscriptions.items():
            if name not in self._feeds:
                self._feeds[name] = self._load(asked)
            elif (feed := self._feeds[name]).asked != asked:
                self._stop(feed)
                feed.asked, feed.failures, feed.again = asked, 0, 0.0
        return merged(settings, {name: feed.nodes for name, feed in self._feeds.items()})

    def apply(self, slot: int | None, resolvers: int) -> None:
        """`slot`: of the exit that carries the household now."""
        self._way = None if slot is None else (slot, resolvers)
        (self._open.clear if slot is None else self._open.set)()
        for feed in self._feeds.values():
            if feed.task is None and feed.asked.enabled:
                feed.task = asyncio.create_task(self._run(feed))

    def stop(self) -> None:
        for feed in self._feeds.values():
            self._stop(feed)

    def _stop(self, feed: _Feed) -> None:
        if feed.task:
            feed.task.cancel()
            feed.task = None

    # -- in time --------------------------------------------------------------------------------------------------

    async def _run(self, feed: _Feed) -> None:
        while True:
            await asyncio.sleep(self._pause(feed))
            await self._open.wait()
            await self._update(feed)

    def _pause(self, feed: _Feed) -> float:
        """Seconds. Uneven, and what was fetched before a restart is not fetched again because of it."""
        new = feed.copy.source != _hash(feed.asked.url)
        hours = feed.asked.hours or min(AT_MOST, max(AT_LEAST, feed.copy.facts.hours or USUALLY))
        if feed.failures:
            return min(hours * HOUR, SOON * 2.0 ** min(feed.failures - 1, 10)) * random.uniform(0.7, 1.3)
        due = 0.0 if new else feed.copy.at + hours * HOUR * random.uniform(0.8, 1.2) - time.time()
        return min(1.2 * hours * HOUR, max(0.0, due))

    async def update(self, name: str) -> str:
        """At once. What was wrong, or nothing. Never in clear: where nothing is up it says so."""
        return await self._update(self._feeds[name])

    async def _update(self, feed: _Feed) -> str:
        async with feed.busy:
            if self._way is None:
                return "nothing is up that it could be fetched through; it is never fetched in clear"
            try:
                await self._fetch(feed, *self._way)
                feed.error, feed.failures = "", 0
            except (ProbeError, Refusal) as e:
                feed.error, feed.failures = str(e), feed.failures + 1
                self._note("subscription", f"{feed.asked.name}: {e}")
            self._told()
            return feed.error

    async def _fetch(self, feed: _Feed, slot: int, resolvers: int) -> None:
        asked, copy = feed.asked, feed.copy
        known = Validators(copy.etag, copy.modified) if copy.text and copy.source == _hash(asked.url) else Validators()
        got = await fetch_list(asked.url, asked.user_agent, known, slot, resolvers)
        if got is None:
            self._keep(feed, replace(copy, at=time.time()))
        else:
            await tried(got.text)
            await self._take(feed, got.text, got)

    async def seed(self, name: str, text: str) -> None:
        """The list itself, from the owner's hands: the beginning where nothing is up yet. It was tried before."""
        if text and name in self._feeds:
            await self._take(self._feeds[name], text, None)

    async def _take(self, feed: _Feed, text: str, got: Got | None) -> None:
        listed = await asyncio.to_thread(read, text)
        news = differences(feed.nodes, self._named(feed, listed))
        copy = feed.copy
        if got is not None:
            found = got.validators
            copy = replace(copy, source=_hash(feed.asked.url), etag=found.etag, modified=found.modified)
            copy = replace(copy, at=time.time(), facts=facts(got.headers))
        if got is not None and feed.asked.confirm and feed.nodes and news != Differences():
            feed.pending = news
            self._keep(feed, replace(copy, pending=text))
            self._note("subscription", f"{feed.asked.name}: {_counted(news)}; it waits for the owner's word")
        else:
            self._use(feed, replace(copy, text=text, pending=""), listed)

    def confirm(self, name: str) -> bool:
        """The owner has seen the differences. Whether there were any."""
        feed = self._feeds[name]
        if not feed.copy.pending:
            return False
        self._use(feed, replace(feed.copy, text=feed.copy.pending, pending=""), read(feed.copy.pending))
        return True

    def _use(self, feed: _Feed, copy: Copy, listed: Listed) -> None:
        nodes = self._named(feed, listed)
        feed.latest, feed.pending = differences(feed.nodes, nodes), None
        before, feed.nodes, feed.rejected = feed.nodes, nodes, listed.rejected
        self._keep(feed, copy)
        self._told()
        if before != nodes:
            self._note("subscription", f"{feed.asked.name}: {_counted(feed.latest)}")
            self._renewed()

    def _named(self, feed: _Feed, listed: Listed) -> Nodes:
        return named(feed.asked.name, listed.nodes, feed.nodes)

    # -- on disk --------------------------------------------------------------------------------------------------

    def _file(self, name: str) -> Path:
        return self._folder / f"{_hash(name)}.json"

    def _keep(self, feed: _Feed, copy: Copy) -> None:
        feed.copy = copy
        if self._feeds.get(feed.asked.name) is not feed:
            return  # removed while it was fetched
        with contextlib.suppress(OSError):  # a full disk must not stop the household
            write(self._file(feed.asked.name), json.dumps(asdict(copy)))

    def _load(self, asked: Subscription) -> _Feed:
        feed = _Feed(asked, Copy())
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):  # as if there were none
            with self._file(asked.name).open("rb") as file:
                found = json.loads(file.read(LIMIT))
            copy = Copy(**{**found, "facts": Facts(**found["facts"])})
            listed = read(copy.text)
            feed.copy, feed.nodes, feed.rejected = copy, self._named(feed, listed), listed.rejected
            if copy.pending:
                feed.pending = differences(feed.nodes, self._named(feed, read(copy.pending)))
        return feed

    def forget(self, name: str) -> None:
        """The owner has removed it: its list holds keys."""
        with contextlib.suppress(OSError):
            self._file(name).unlink()

    # -- for people -----------------------------------------------------------------------------------------------

    def reports(self) -> tuple[SubscriptionStatus, ...]:
        """Without what the watchdog knows: how many are up."""
        return tuple(self._report(feed) for feed in self._feeds.values())

    def _report(self, feed: _Feed) -> SubscriptionStatus:
        copy, now = feed.copy, time.time()
        told = copy.facts
        spent = told.total is not None and (told.used or 0) >= told.total
        return SubscriptionStatus(
            name=feed.asked.name,
            host=urlsplit(feed.asked.url).hostname or "",
            title=told.title,
            nodes=len(feed.nodes),
            up=0,
            failed=0,
            rejected=feed.rejected,
            used_bytes=told.used,
            total_bytes=told.total,
            expires=_date(told.expires),
            updated=_date(copy.at or None),
            last_error=feed.error or None,
            waits=feed.asked.enabled and self._way is None and not feed.nodes,
            expired=spent or (told.expires is not None and told.expires < now),
            latest=feed.latest,
            pending=feed.pending,
        )


def _counted(news: Differences) -> str:
    return f"{len(news.added)} nodes added, {len(news.removed)} removed, {len(news.changed)} changed"


def _date(at: float | None) -> str | None:
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else None
    return None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
