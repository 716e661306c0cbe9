"""What can be asked of the daemon: a function for each line of ROUTES. api.py is the wire, docs/api.md the words."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from functools import partial
from itertools import chain, count
from typing import Any
from urllib.parse import urlsplit

from routerd import file
from routerd.bending import listed
from routerd.daemon import Daemon
from routerd.diagnose import Busy, diagnose, diagnose_server, site_of
from routerd.host.asking import Unheard
from routerd.host.engines import lacking
from routerd.host.worker import tried
from routerd.links import INTERFACE, WRITERS, LinkError, Named, configuration, export, parse
from routerd.links.bulk import Rejected, described, read_all
from routerd.links.unknown import is_ovpn
from routerd.model import LAST_SLOT, SHARED_SLOTS, Configured, Wished
from routerd.subscriptions import Refusal
from routerd.table import SettingsError


class ApiError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


Body = dict[str, Any]
Handler = Callable[[Daemon, dict[str, str], Body], Awaitable[tuple[int, Body]]]


async def _status(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    return 200, dataclasses.asdict(daemon.status())


async def _log(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    return 200, {"journal": [dataclasses.asdict(line) for line in daemon.journal]}


async def _transports(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    entries = daemon.settings.transports.values() if daemon.settings else ()
    return 200, {
        "transports": [
            {
                "name": e.name,
                "kind": e.transport.kind,
                "enabled": e.enabled,
                "server": e.transport.server,
                "port": e.transport.port,
                "subscription": e.group or None,
            }
            for e in entries
        ]
    }


async def _use(daemon: Daemon, _path: dict[str, str], body: Body) -> tuple[int, Body]:
    name = _known(daemon, wanted(body, "name"))
    if not daemon.settings or not daemon.settings.transports[name].enabled:
        raise ApiError(409, "disabled", f"{name!r} is disabled; enable it first")
    daemon.put(Wished(name))
    return 200, {"name": name}


async def _auto(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    daemon.put(Wished(None))
    return 200, {}


async def _try_next(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    """The next one in the list after the active, healthy ones first."""
    names = [e.name for e in daemon.settings.enabled] if daemon.settings else []
    ups = [t.name for t in daemon.status().transports if t.state == "up"]
    here = names.index(daemon.state.active) if daemon.state.active in names else -1
    following = names[here + 1 :] + names[: max(here, 0)]
    for name in [n for n in following if n in ups] + following:
        daemon.put(Wished(name))
        return 200, {"name": name}
    raise ApiError(409, "no_other", "there is no other transport; add one")


async def _add(daemon: Daemon, _path: dict[str, str], body: Body) -> tuple[int, Body]:
    source = "uri" if "uri" in body else "config"
    text = wanted(body, source).strip()
    try:
        named = parse(text).name if source == "uri" else ""
        kind = parse(text).transport.kind if source == "uri" else configuration(text).kind
    except LinkError as e:
        raise ApiError(422, "link", str(e)) from e
    name = _free(_taken(daemon), (wanted(body, "name") if body.get("name") else named) or kind)
    _edit(daemon, lambda document: file.add_transport(document, name, source, text))
    return 201, {"name": name}


async def _import(daemon: Daemon, _path: dict[str, str], body: Body) -> tuple[int, Body]:
    """All that can be used of a text, in one step; with `dry_run` nothing is changed. Links are read in a thread."""
    found = await asyncio.to_thread(read_all, wanted(body, "text"))
    known = {e.transport: e.name for e in daemon.settings.transports.values()} if daemon.settings else {}
    there = [n for n in found.transports if n.transport in known]
    fresh = [n for n in found.transports if n.transport not in known]
    if fresh and len(found.transports) == 1 and body.get("name"):
        fresh = [replace(fresh[0], name=wanted(body, "name"))]
    if fresh and body.get("dry_run") is not True:
        fresh = _named_apart(daemon, fresh)
        _edit(daemon, partial(_add_all, fresh))
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
    taken = set(_taken(daemon))
    if len(fresh) > (room := _room(daemon)):
        why = f"{len(fresh)} transports are too many at once: there is room for {room} more"
        raise ApiError(422, "too_many", why)
    found = []
    for named in fresh:
        found.append(replace(named, name=_free(taken, named.name)))
        taken.add(found[-1].name)
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


async def _link(daemon: Daemon, path: dict[str, str], _body: Body) -> tuple[int, Body]:
    """The share link of a transport, with its secrets."""
    name = _known(daemon, path["name"])
    transport = daemon.settings.transports[name].transport if daemon.settings else None
    if transport is None or transport.kind not in WRITERS:
        raise ApiError(409, "no_link", f"{name!r} is of a kind that no share link can hold")
    return 200, {"name": name, "uri": export(Named(name, transport))}


async def _remove(daemon: Daemon, path: dict[str, str], _body: Body) -> tuple[int, Body]:
    name = _known(daemon, path["name"])
    _edit(daemon, lambda document: file.remove_transport(document, name))
    return 200, {"name": name}


async def _enable(daemon: Daemon, path: dict[str, str], _body: Body) -> tuple[int, Body]:
    return _toggle(daemon, path["name"], True)


async def _disable(daemon: Daemon, path: dict[str, str], _body: Body) -> tuple[int, Body]:
    return _toggle(daemon, path["name"], False)


async def _subscriptions(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    return 200, {"subscriptions": [dataclasses.asdict(one) for one in daemon.status().subscriptions]}


async def _subscribe(daemon: Daemon, _path: dict[str, str], body: Body) -> tuple[int, Body]:
    """With `text` (the list itself) it begins with that: no list is ever fetched in clear."""
    url = wanted(body, "url").strip()
    known = daemon.settings.subscriptions if daemon.settings else {}
    if there := next((each.name for each in known.values() if each.url == url), None):
        raise ApiError(409, "there_already", f"It is there already, as {there}.")
    name = wanted(body, "name") if body.get("name") else _free(known, _host(url))
    confirm = body.get("confirm") is True
    text = await _list_in(body, name)
    _edit(daemon, lambda document: file.add_subscription(document, name, url, confirm))
    await daemon.feeds.seed(name, text)
    return 201, {"name": name}


async def _unsubscribe(daemon: Daemon, path: dict[str, str], _body: Body) -> tuple[int, Body]:
    name = _subscribed(daemon, path["name"])
    _edit(daemon, lambda document: file.remove_subscription(document, name))
    daemon.feeds.forget(name)
    return 200, {"name": name}


async def _update(daemon: Daemon, path: dict[str, str], body: Body) -> tuple[int, Body]:
    name = _subscribed(daemon, path["name"])
    if text := await _list_in(body, name):
        await daemon.feeds.seed(name, text)
    elif error := await daemon.feeds.update(name):
        raise ApiError(502, "subscription", f"{name}: {error}; the list before stays in use")
    return 200, {"name": name}


async def _confirm(daemon: Daemon, path: dict[str, str], _body: Body) -> tuple[int, Body]:
    name = _subscribed(daemon, path["name"])
    if not daemon.feeds.confirm(name):
        raise ApiError(409, "nothing", f"{name}: there is nothing that waits for your word")
    return 200, {"name": name}


async def _diagnose(daemon: Daemon, _path: dict[str, str], body: Body) -> tuple[int, Body]:
    """Of a host, or with `transport` of that one's own server."""
    if daemon.settings is None:
        raise ApiError(409, "closed", "there are no readable settings; nothing leaves the box")
    try:
        if "transport" in body:
            name = _known(daemon, wanted(body, "transport"))
            report = await diagnose_server(daemon, daemon.settings, daemon.settings.transports[name])
            return 200, report.as_json(name)
        site = site_of(wanted(body, "host"))
        report = await diagnose(daemon, daemon.settings, site, direct=body.get("direct") is not False)
        return 200, report.as_json(site.host)
    except ValueError as e:
        raise ApiError(400, "host", f"host: {e}") from e
    except Busy as e:
        raise ApiError(409, "busy", "a diagnosis is under way; try again in half a minute") from e
    except TimeoutError as e:
        raise ApiError(504, "slow", "the stages took too long; try again") from e


async def _desync(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    try:
        return 200, await listed(daemon)
    except Unheard as e:
        raise ApiError(504, "unheard", "the desync worker does not answer; try again") from e


async def _reload(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    if error := daemon.read_settings():
        raise ApiError(422, "settings", error)
    return 200, {}


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/status", _status),
    ("GET", "/log", _log),
    ("GET", "/transports", _transports),
    ("POST", "/transports", _add),
    ("POST", "/import", _import),
    ("GET", "/transports/{name}/link", _link),
    ("DELETE", "/transports/{name}", _remove),
    ("POST", "/transports/{name}/enable", _enable),
    ("POST", "/transports/{name}/disable", _disable),
    ("GET", "/subscriptions", _subscriptions),
    ("POST", "/subscriptions", _subscribe),
    ("DELETE", "/subscriptions/{name}", _unsubscribe),
    ("POST", "/subscriptions/{name}/update", _update),
    ("POST", "/subscriptions/{name}/confirm", _confirm),
    ("POST", "/use", _use),
    ("POST", "/auto", _auto),
    ("POST", "/try-next", _try_next),
    ("POST", "/reload", _reload),
    ("POST", "/diagnose", _diagnose),
    ("GET", "/desync", _desync),
)


def _toggle(daemon: Daemon, name: str, enabled: bool) -> tuple[int, Body]:
    _known(daemon, name)
    _edit(daemon, lambda document: file.enable_transport(document, name, enabled))
    return 200, {"name": name}


def _edit(daemon: Daemon, change: Callable[[Any], None]) -> None:
    try:
        daemon.accept(daemon.file.edit(change))
    except SettingsError as e:
        raise ApiError(422, "settings", str(e)) from e
    daemon.put(Configured())


def _known(daemon: Daemon, name: str) -> str:
    if daemon.settings is None or name not in daemon.settings.transports:
        raise ApiError(404, "unknown_transport", f"{name!r}: there is no transport of that name")
    return name


def _subscribed(daemon: Daemon, name: str) -> str:
    if daemon.settings is None or name not in daemon.settings.subscriptions:
        raise ApiError(404, "unknown_subscription", f"{name!r}: there is no subscription of that name")
    return name


async def _list_in(body: Body, name: str) -> str:
    """The list that the owner gives himself, once it has been tried; empty where he gives none."""
    if "text" not in body:
        return ""
    try:
        await tried(text := wanted(body, "text"))
    except Refusal as e:
        raise ApiError(422, "list", f"{name}: {e}") from e
    return text


def _taken(daemon: Daemon) -> Collection[str]:
    return daemon.settings.transports if daemon.settings else ()


def _free(taken: Collection[str], name: str) -> str:
    """The name, or the name with a number behind it."""
    name = "".join(c for c in name if c.isprintable()).removeprefix("service:").strip()[:56].strip() or "transport"
    tries = chain([name], (f"{name} {i}" for i in count(2)))
    return next(t for t in tries if t not in taken)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "subscription"
    except ValueError:  # the settings say what is wrong with it
        return "subscription"


def wanted(body: Body, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ApiError(400, "body", f"{key}: must be a text that is not empty")
    return value
