"""What is read: the settings, again; links, lists and files of every kind. `import --dry-run` needs no daemon."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from routerd.commands.verbs import verb
from routerd.links import wall
from routerd.links.bulk import Rejected, described, outcomes
from routerd.wire import Refused, ask, show

LIMIT = 1 << 20  # bytes that can be imported at once
LARGEST = 1 << 26  # bytes of a list that is only looked at
_JSON = json.JSONEncoder(ensure_ascii=False)


def declare(group: Any) -> None:
    verb(group, "reload", _reload, "read the settings again")
    importing = verb(group, "import", _import, "links, lists and files of every kind: FILE, URL or -", "source")
    importing.add_argument("--dry-run", action="store_true", help="say what would be added; needs no daemon")


def _reload(arguments: argparse.Namespace) -> None:
    show(arguments, ask(arguments, "POST", "/reload"), ["the settings were read again"])


def _import(arguments: argparse.Namespace) -> None:
    if arguments.dry_run:
        _preview(arguments, read(arguments.source, LARGEST))
        return
    answer = ask(arguments, "POST", "/import", {"text": read(arguments.source, LIMIT)})
    lines = [f"added {one['name']} ({one['kind']}){_lacks(one)}" for one in answer["transports"]]
    lines += [_refusal(one["input"], one["reason"]) for one in answer["rejected"]]
    show(arguments, answer, lines + ["to fetch: routerctl subscription add NAME URL"] * bool(answer["subscriptions"]))
    if not answer["transports"]:
        raise Refused(_nothing([one["reason"] for one in answer["rejected"]]))


def _lacks(one: dict[str, Any]) -> str:
    return f"; it cannot be used yet: {one['lacks']}" if "lacks" in one else ""


def _preview(arguments: argparse.Namespace, text: str) -> None:
    """Written as it is read: a hundred thousand links need not be in memory at once."""
    rejected: list[Rejected] = []
    before = '{"transports": [\n'
    for found in outcomes(text):
        if isinstance(found, Rejected):
            rejected.append(found)
        elif arguments.json:
            print(before + _JSON.encode(described(found)), end="")
            before = ",\n"
        else:
            print(f"would add {found.name} ({found.transport.kind})")
            before = ""
    if arguments.json:
        print((before if before.startswith("{") else "") + _rest(rejected))
    else:
        print(*(_refusal(one.input, one.reason) for one in rejected), sep="\n", end="\n" if rejected else "")
    if before.startswith("{"):
        raise Refused(_nothing([one.reason for one in rejected]))


def _rest(rejected: list[Rejected]) -> str:
    refused = [{"input": one.input, "reason": one.reason} for one in rejected]
    subscriptions = list(dict.fromkeys(one.subscription for one in rejected if one.subscription))
    tail = {"rejected": refused, "subscriptions": subscriptions}
    return "],\n" + json.dumps(tail, ensure_ascii=False, indent=1)[1:].lstrip()


def _refusal(text: str, reason: str) -> str:
    """Its beginning, so that its owner finds it; what hides in it does not reach the terminal."""
    begin = wall.shown(text[:200])[:40]
    return f"rejected: {begin}{'...' if begin != text else ''}: {reason}"


def _nothing(reasons: Sequence[str]) -> str:
    return f"nothing in it can be used: {reasons[0]}" if len(reasons) == 1 else "nothing in it can be used"


def read(source: str, limit: int) -> str:
    """A link or an address is what it says; anything else names a file."""
    if "://" in source:
        return source
    try:
        if source == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(limit + 1)
        if len(data) > limit:
            raise Refused(f"{source}: larger than {limit} bytes, which is the most that is read at once")
        return data.decode("utf-8-sig")
    except OSError as e:
        raise Refused(f"{source}: cannot be read ({e.strerror})") from e
    except UnicodeDecodeError as e:
        raise Refused(f"{source}: is not UTF-8 text (byte {e.start})") from e
