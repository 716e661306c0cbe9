"""The ways out of the owner's file: listed, added, removed, used or kept unused, and given away as links."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from routerd.commands.verbs import noun, verb
from routerd.wire import ask, show, table


def declare(group: Any) -> None:
    verb(group, "export", _export, "the share link of a transport, with its secrets", "name")
    ways = noun(group, "transport", "the ways out")
    verb(ways, "list", _list, "all of them")
    verb(ways, "add", _add, "add a share link", "uri").add_argument("--name", default="")
    verb(ways, "remove", _remove, "remove one", "name")
    verb(ways, "enable", _enable, "use it again", "name")
    verb(ways, "disable", _disable, "keep it, unused", "name")


def _list(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "GET", "/transports")
    rows = [
        (t["name"], t["kind"], f"{t['server']}:{t['port']}", "enabled" if t["enabled"] else "disabled")
        for t in answer["transports"]
    ]
    show(arguments, answer, table(("NAME", "KIND", "SERVER", ""), rows))


def _add(arguments: argparse.Namespace) -> None:
    _added(arguments, {"uri": arguments.uri, "name": arguments.name})


def _added(arguments: argparse.Namespace, body: dict[str, str]) -> None:
    answer = ask(arguments, "POST", "/transports", body)
    show(arguments, answer, [f"added {answer['name']}"])


def _remove(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "DELETE", f"/transports/{quote(arguments.name, safe='')}")
    show(arguments, answer, [f"removed {arguments.name}"])


def _enable(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "POST", f"/transports/{quote(arguments.name, safe='')}/enable")
    show(arguments, answer, [f"enabled {arguments.name}"])


def _disable(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "POST", f"/transports/{quote(arguments.name, safe='')}/disable")
    show(arguments, answer, [f"disabled {arguments.name}"])


def _export(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "GET", f"/transports/{quote(arguments.name, safe='')}/link")
    show(arguments, answer, [answer["uri"]])
