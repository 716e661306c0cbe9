"""Many ways out at once, out of a text of any kind: what is new is added in one step, what is not says why."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

from routerd import file
from routerd.answers.asked import ApiError, Body, edit, free, taken, wanted
from routerd.daemon import Daemon
from routerd.host.engines import lacking
from routerd.links import INTERFACE, WRITERS, Named, export
from routerd.links.bulk import Rejected, described, read_all
from routerd.links.unknown import is_ovpn
from routerd.model import LAST_SLOT, SHARED_SLOTS


async def import_all(daemon: Daemon, _path: dict[str, str], body: Body) -> tuple[int, Body]:
    """All that can be used of a text, in one step; with `dry_run` nothing is changed. Links are read in a thread."""
    found = await asyncio.to_thread(read_all, wanted(body, "text"))
    known = {e.transport: e.name for e in daemon.settings.transports.values()} if daemon.settings else {}
    there = [n for n in found.transports if n.transport in known]
    fresh = [n for n in found.transports if n.transport not in known]
    if fresh and len(found.transports) == 1 and body.get("name"):
        fresh = [replace(fresh[0], name=wanted(body, "name"))]
    if fresh and body.get("dry_run") is not True:
        fresh = _named_apart(daemon, fresh)
        edit(daemon, partial(_add_all, fresh))
    again = [Rejected(n.source, f"It is there already, as {known[n.transport]}.") for n in there]
    return 200, {
        "transports": await asyncio.to_thread(lambda: [described(named) | _lacks(named) for named in fresh]),
        "rejected": [_refused(each) for each in (*again, *found.rejected)],
        "subscriptions": list(found.subscriptions),
    }


def _lacks(named: Named) -> Body:
    """It is kept all the same: what is missing may come."""
    lacks = lacking(named.transport.engine)
    return {"lacks": lacks} if lacks else {}


def _refused(each: Rejected) -> Body:
    address = {"subscription": each.subscription} if each.subscription else {}
    return {"input": each.input, "reason": each.reason, **address}


def _add_all(fresh: list[Named], document: Any) -> None:
    for named in fresh:
        file.add_transport(document, named.name, *_written(named))


def _named_apart(daemon: Daemon, fresh: list[Named]) -> list[Named]:
    names = set(taken(daemon))
    if len(fresh) > (room := _room(daemon)):
        why = f"{len(fresh)} transports are too many at once: there is room for {room} more"
        raise ApiError(422, "too_many", why)
    found = []
    for named in fresh:
        found.append(replace(named, name=free(names, named.name)))
        names.add(found[-1].name)
    return found


def _room(daemon: Daemon) -> int:
    """For transports of the file: the nodes of subscriptions have theirs."""
    if daemon.own is None:
        return LAST_SLOT
    return LAST_SLOT - (SHARED_SLOTS if daemon.own.subscriptions else 0) - len(daemon.own.transports)


def _written(named: Named) -> tuple[str, str]:
    """Its key in the file and what stands there: the owner's own text, where it is one that the file can hold."""
    if INTERFACE.search(named.source) or is_ovpn(named.source) or named.transport.kind not in WRITERS:
        return "config", named.source
    return "uri", export(named) if "\n" in named.source else named.source
