"""Lists of ways out: added, fetched, confirmed, removed. None is ever fetched in clear."""

from __future__ import annotations

import dataclasses
from urllib.parse import urlsplit

from routerd import file
from routerd.answers.asked import ApiError, Body, edit, free, subscribed, wanted
from routerd.daemon import Daemon
from routerd.host.worker import tried
from routerd.subscriptions import Refusal


async def listed(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    return 200, {"subscriptions": [dataclasses.asdict(one) for one in daemon.status().subscriptions]}


async def add(daemon: Daemon, _path: dict[str, str], body: Body) -> tuple[int, Body]:
    """With `text` (the list itself) it begins with that: no list is ever fetched in clear."""
    url = wanted(body, "url").strip()
    known = daemon.settings.subscriptions if daemon.settings else {}
    if there := next((each.name for each in known.values() if each.url == url), None):
        raise ApiError(409, "there_already", f"It is there already, as {there}.")
    name = wanted(body, "name") if body.get("name") else free(known, _host(url))
    confirm = body.get("confirm") is True
    text = await _list_in(body, name)
    edit(daemon, lambda document: file.add_subscription(document, name, url, confirm))
    await daemon.feeds.seed(name, text)
    return 201, {"name": name}


async def remove(daemon: Daemon, path: dict[str, str], _body: Body) -> tuple[int, Body]:
    name = subscribed(daemon, path["name"])
    edit(daemon, lambda document: file.remove_subscription(document, name))
    daemon.feeds.forget(name)
    return 200, {"name": name}


async def update(daemon: Daemon, path: dict[str, str], body: Body) -> tuple[int, Body]:
    name = subscribed(daemon, path["name"])
    if text := await _list_in(body, name):
        await daemon.feeds.seed(name, text)
    elif error := await daemon.feeds.update(name):
        raise ApiError(502, "subscription", f"{name}: {error.rstrip('.')}; the list before stays in use")
    return 200, {"name": name}


async def confirm(daemon: Daemon, path: dict[str, str], _body: Body) -> tuple[int, Body]:
    name = subscribed(daemon, path["name"])
    if not daemon.feeds.confirm(name):
        raise ApiError(409, "nothing", f"{name}: there is nothing that waits for your word")
    return 200, {"name": name}


async def _list_in(body: Body, name: str) -> str:
    """The list that the owner gives himself, once it has been tried; empty where he gives none."""
    if "text" not in body:
        return ""
    try:
        await tried(text := wanted(body, "text"))
    except Refusal as e:
        raise ApiError(422, "list", f"{name}: {e}") from e
    return text


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "subscription"
    except ValueError:  # the settings say what is wrong with it
        return "subscription"
