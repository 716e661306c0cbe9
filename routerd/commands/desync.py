"""Ways past a censor without a server: what was found, and a search for one site."""

from __future__ import annotations

import argparse
import json
from typing import Any

from routerd.commands.verbs import noun, verb
from routerd.wire import Refused, ask, events, show, table

SEARCH = 50  # seconds; the daemon ends it sooner


def declare(group: Any) -> None:
    bends = noun(group, "desync", "ways past a censor without a server")
    verb(bends, "list", _desync, "what was found to work, and for how many sites")
    what = "look for what lets a site through; your provider sees the tries"
    verb(bends, "search", _search, what, "host").add_argument(
        "--http", action="store_true", help="plain HTTP in place of HTTPS"
    )


def _desync(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "GET", "/desync")
    rows = [(known["strategy"], str(known["sites"]), known["transport"]) for known in answer["known"]]
    show(arguments, answer, table(("STRATEGY", "SITES", "TRANSPORT"), rows) if rows else ["nothing was needed yet"])


def _search(arguments: argparse.Namespace) -> None:
    """Each try as it ends; exit status 1 where nothing lets the site through."""
    body: dict[str, object] = {"host": arguments.host, "http": arguments.http}
    last: dict[str, Any] = {}
    for _, data in events(arguments, "POST", "/desync/search", body, SEARCH):
        last = data
        if arguments.json:
            print(json.dumps(data, ensure_ascii=False), flush=True)
        elif line := _search_line(data):
            print(line, flush=True)
    if not last.get("done"):
        raise Refused("the daemon went away")
    if not last["plain"] and not last["strategy"]:
        raise Refused(_not_found(arguments.host, last))


def _search_line(data: dict[str, Any]) -> str:
    if "using" in data:
        return f"in use now: {data['using']}" if data["using"] else ""
    if not data.get("done"):
        return f"{data['found']:12} {data['seconds']:5.2f} s  {data['strategy'] or 'as it is'}"
    if data["plain"]:
        return "it opens as it is; nothing is needed"
    return f"works, and is used from now on: {data['strategy']}" if data["strategy"] else ""


def _not_found(host: str, last: dict[str, Any]) -> str:
    if last.get("busy"):
        return f"{host}: other searches are under way; try again in half a minute"
    if last.get("lost"):
        return f"{host}: the transport was begun anew meanwhile; see routerctl status, and try again"
    if not last["met"]:
        return f"{host}: nobody answers there at all; is the name right, is the line up?"
    return f"{host}: none of {last['tried']} tries came through; it needs a transport with a server"
