"""Lists of ways out: added, fetched, confirmed, removed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from routerd.commands.reading import LIMIT, read
from routerd.commands.verbs import noun, verb
from routerd.wire import ask, show, table

FETCH = 60  # seconds; the daemon ends it sooner


def declare(group: Any) -> None:
    lists = noun(group, "subscription", "lists of ways out")
    verb(lists, "list", _subscriptions, "all of them: nodes, quota, expiry, last update")
    what = "add one; fetched through a transport that is up, never in clear"
    adding = verb(lists, "add", _subscribe, what, "name", "url")
    adding.add_argument("--file", default="", help="the list itself, or -: the beginning where nothing is up yet")
    adding.add_argument("--confirm", action="store_true", help="other nodes are used once you have confirmed them")
    verb(lists, "remove", _unsubscribe, "remove one, with its nodes", "name")
    updating = verb(lists, "update", _update, "fetch it now", "name")
    updating.add_argument("--file", default="", help="the list itself, or -, in place of fetching it")
    verb(lists, "confirm", _confirm, "use the other nodes that it has", "name")


def _subscriptions(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "GET", "/subscriptions")
    heads = ("NAME", "HOST", "NODES", "UP", "FAILED", "USED", "EXPIRES", "UPDATED", "LAST ERROR")
    rows = [_subscription_row(one) for one in answer["subscriptions"]]
    news = (line for one in answer["subscriptions"] for line in _differences(one))
    show(arguments, answer, [*table(heads, rows), *news])


def _subscription_row(one: dict[str, Any]) -> tuple[str, ...]:
    used = "" if one["used_bytes"] is None else f"{one['used_bytes'] / 1e9:.1f} GB"
    total = "" if one["total_bytes"] is None else f" of {one['total_bytes'] / 1e9:.1f} GB"
    counts = (str(one[key]) for key in ("nodes", "up", "failed"))
    return (
        one["name"],
        one["host"],
        *counts,
        used + total,
        *(one[key] or "" for key in ("expires", "updated", "last_error")),
    )


def _differences(one: dict[str, Any]) -> Iterator[str]:
    for what, names in (one["pending"] or {}).items():
        yield from (f"{one['name']}: {what}, once confirmed: {name}" for name in names)


def _subscribe(arguments: argparse.Namespace) -> None:
    body: dict[str, object] = {"name": arguments.name, "url": arguments.url, "confirm": arguments.confirm}
    body |= {"text": read(arguments.file, LIMIT)} if arguments.file else {}
    answer = ask(arguments, "POST", "/subscriptions", body, FETCH)
    show(arguments, answer, [f"added {answer['name']}"])


def _unsubscribe(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "DELETE", f"/subscriptions/{quote(arguments.name, safe='')}")
    show(arguments, answer, [f"removed {arguments.name}, with its nodes"])


def _update(arguments: argparse.Namespace) -> None:
    body = {"text": read(arguments.file, LIMIT)} if arguments.file else {}
    answer = ask(arguments, "POST", f"/subscriptions/{quote(arguments.name, safe='')}/update", body, FETCH)
    show(arguments, answer, [f"{arguments.name} is up to date"])


def _confirm(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "POST", f"/subscriptions/{quote(arguments.name, safe='')}/confirm")
    show(arguments, answer, [f"{arguments.name}: the other nodes are in use"])
