"""What the network does to a host, and what gets through."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from routerd.commands.verbs import verb
from routerd.wire import ask, show, table

DIAGNOSIS = 40  # seconds; the daemon ends it after 30


def declare(group: Any) -> None:
    made = verb(group, "diagnose", _diagnose, "what the network does to a host, and what gets through", "host")
    made.add_argument("--through-only", action="store_true", help="try nothing that the provider could see")
    made.add_argument("--server", action="store_true", help="HOST is a transport's name: diagnose its own server")


def _diagnose(arguments: argparse.Namespace) -> None:
    body: dict[str, object] = {"host": arguments.host, "direct": not arguments.through_only}
    if arguments.server:
        body = {"transport": arguments.host}
    elif not arguments.through_only:
        note = f"your provider sees an attempt to reach {arguments.host}; --through-only leaves that out"
        print(f"routerctl: {note}", file=sys.stderr, flush=True)
    answer = ask(arguments, "POST", "/diagnose", body, DIAGNOSIS)
    show(arguments, answer, _diagnosis_lines(answer))


def _diagnosis_lines(answer: dict[str, Any]) -> Iterator[str]:
    yield f"{answer['host']}: {answer['title']} ({answer['verdict']})"
    yield f"{answer['explanation']} {answer['cure']}."
    rows = [(s["stage"], s["way"], "ok" if s["ok"] else "no", f"{s['ms']} ms", s["detail"]) for s in answer["stages"]]
    yield from table(("STAGE", "WAY", "", "", ""), rows)
    for one in answer["through"]:
        yield f"through {one['transport']}: {'opens' if one['ok'] else 'does not open'}, {one['ms']} ms"
