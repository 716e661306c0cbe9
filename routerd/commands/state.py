"""Where we stand, and who carries new flows by the owner's word."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from routerd.commands.verbs import verb
from routerd.wire import Refused, ask, events, show, table


def declare(group: Any) -> None:
    verb(group, "status", _status, "where we stand")
    verb(group, "watch", _watch, "where we stand, as it changes")
    verb(group, "log", _log, "what was done and why; never where anybody went")
    verb(group, "use", _use, "this transport and no other", "name")
    verb(group, "auto", _auto, "leave the choice to the watchdog")


def _status(arguments: argparse.Namespace) -> None:
    status = ask(arguments, "GET", "/status")
    show(arguments, status, _status_lines(status))


def _status_lines(status: dict[str, Any]) -> Iterator[str]:
    through = f" through {status['active']}" if status["active"] else ""
    yield f"{status['phase']}{through} ({status['mode']}) since {status['since']}"
    heads = ("NAME", "KIND", "STATE", "LATENCY", "LAST ERROR")
    yield from table(heads, [_transport_row(transport) for transport in status["transports"]])
    for problem in status["problems"]:
        yield f"{problem['severity']}: {problem['title']}. {problem['cure']}."


def _transport_row(transport: dict[str, Any]) -> tuple[str, ...]:
    latency = "" if transport["latency_ms"] is None else f"{transport['latency_ms']} ms"
    return transport["name"], transport["kind"], transport["state"], latency, transport["last_error"] or ""


def _watch(arguments: argparse.Namespace) -> None:
    for kind, data in events(arguments, "GET", "/events", None, None):
        _event(arguments, kind, data)
    raise Refused("the daemon went away")


def _event(arguments: argparse.Namespace, kind: str, data: dict[str, Any]) -> None:
    if arguments.json:
        print(json.dumps({kind: data}, ensure_ascii=False), flush=True)
    elif kind == "status":
        print("\n".join(_status_lines(data)), flush=True)
    else:
        print(f"{data['at']} {data['kind']}: {data['text']}", flush=True)


def _log(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "GET", "/log")
    show(arguments, answer, (f"{line['at']} {line['kind']}: {line['text']}" for line in answer["journal"]))


def _use(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "POST", "/use", {"name": arguments.name})
    show(arguments, answer, [f"only through {arguments.name} from now on; `routerctl auto` ends that"])


def _auto(arguments: argparse.Namespace) -> None:
    show(arguments, ask(arguments, "POST", "/auto"), ["the watchdog chooses from now on"])
