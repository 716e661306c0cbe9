"""routerctl: the owner's commands. Speaks to the daemon's socket alone; `import --dry-run` needs no daemon.

Exit status: 0 done, 1 refused or failed (one line on stderr), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from routerd import __version__
from routerd.links import wall
from routerd.links.bulk import Rejected, described, outcomes

DIAGNOSIS = 40  # seconds; the daemon ends it after 30
FETCH = 60  # seconds; the daemon ends it sooner
LIMIT = 1 << 20  # bytes that can be imported at once
_JSON = json.JSONEncoder(ensure_ascii=False)
LARGEST = 1 << 26  # bytes of a list that is only looked at


class Refused(Exception):
    """One line for the owner."""


class _Connection(http.client.HTTPConnection):
    """HTTP over the Unix socket: the one thing that http.client lacks."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("routerd", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def main() -> None:
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except Refused as e:
        print(f"routerctl: {e}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="the answer as JSON")
    parser = argparse.ArgumentParser(prog="routerctl", description="Clearway, from the command line.")
    parser.add_argument("--socket", type=Path, default=Path("/run/clearway/api.sock"))
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(group: Any, name: str, run: Any, what: str, *words: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = group.add_parser(name, help=what, parents=[shared])
        made.set_defaults(run=run)
        for word in words:
            made.add_argument(word)
        return made

    verb(verbs, "status", _status, "where we stand")
    verb(verbs, "watch", _watch, "where we stand, as it changes")
    verb(verbs, "log", _log, "what was done and why; never where anybody went")
    verb(verbs, "use", _use, "this transport and no other", "name")
    verb(verbs, "auto", _auto, "leave the choice to the watchdog")
    diagnosing = verb(verbs, "diagnose", _diagnose, "what the network does to a host, and what gets through", "host")
    diagnosing.add_argument("--through-only", action="store_true", help="try nothing that the provider could see")
    diagnosing.add_argument("--server", action="store_true", help="HOST is a transport's name: diagnose its own server")
    verb(verbs, "reload", _reload, "read the settings again")
    importing = verb(verbs, "import", _import, "links, lists and files of every kind: FILE, URL or -", "source")
    importing.add_argument("--dry-run", action="store_true", help="say what would be added; needs no daemon")
    lists = verbs.add_parser("subscription", help="lists of ways out").add_subparsers(required=True, metavar="VERB")
    verb(lists, "list", _subscriptions, "all of them: nodes, quota, expiry, last update")
    adding = verb(
        lists, "add", _subscribe, "add one; fetched through a transport that is up, never in clear", "name", "url"
    )
    adding.add_argument("--file", default="", help="the list itself, or -: the beginning where nothing is up yet")
    adding.add_argument("--confirm", action="store_true", help="other nodes are used once you have confirmed them")
    verb(lists, "remove", _unsubscribe, "remove one, with its nodes", "name")
    updating = verb(lists, "update", _update, "fetch it now", "name")
    updating.add_argument("--file", default="", help="the list itself, or -, in place of fetching it")
    verb(lists, "confirm", _confirm, "use the other nodes that it has", "name")
    verb(verbs, "export", _export, "the share link of a transport, with its secrets", "name")
    group = verbs.add_parser("transport", help="the ways out").add_subparsers(required=True, metavar="VERB")
    verb(group, "list", _list, "all of them")
    verb(group, "add", _add, "add a share link", "uri").add_argument("--name", default="")
    verb(group, "remove", _remove, "remove one", "name")
    verb(group, "enable", _enable, "use it again", "name")
    verb(group, "disable", _disable, "keep it, unused", "name")
    return parser


# -- verbs --------------------------------------------------------------------------------------------------------


def _status(arguments: argparse.Namespace) -> None:
    status = _ask(arguments, "GET", "/status")
    _show(arguments, status, _status_lines(status))


def _status_lines(status: dict[str, Any]) -> Iterator[str]:
    through = f" through {status['active']}" if status["active"] else ""
    yield f"{status['phase']}{through} ({status['mode']}) since {status['since']}"
    heads = ("NAME", "KIND", "STATE", "LATENCY", "LAST ERROR")
    yield from _table(heads, [_transport_row(transport) for transport in status["transports"]])
    for problem in status["problems"]:
        yield f"{problem['severity']}: {problem['title']}. {problem['cure']}."


def _transport_row(transport: dict[str, Any]) -> tuple[str, ...]:
    latency = "" if transport["latency_ms"] is None else f"{transport['latency_ms']} ms"
    return transport["name"], transport["kind"], transport["state"], latency, transport["last_error"] or ""


def _watch(arguments: argparse.Namespace) -> None:
    connection, response = _open(arguments, "GET", "/events", None, None)
    kind = ""
    for raw in response:
        line = raw.decode(errors="replace").rstrip("\n")
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            _event(arguments, kind, json.loads(line.removeprefix("data: ")))
    connection.close()
    raise Refused("the daemon went away")


def _event(arguments: argparse.Namespace, kind: str, data: dict[str, Any]) -> None:
    if arguments.json:
        print(json.dumps({kind: data}, ensure_ascii=False), flush=True)
    elif kind == "status":
        print("\n".join(_status_lines(data)), flush=True)
    else:
        print(f"{data['at']} {data['kind']}: {data['text']}", flush=True)


def _log(arguments: argparse.Namespace) -> None:
    answer = _ask(arguments, "GET", "/log")
    _show(arguments, answer, (f"{line['at']} {line['kind']}: {line['text']}" for line in answer["journal"]))


def _list(arguments: argparse.Namespace) -> None:
    answer = _ask(arguments, "GET", "/transports")
    rows = [
        (t["name"], t["kind"], f"{t['server']}:{t['port']}", "enabled" if t["enabled"] else "disabled")
        for t in answer["transports"]
    ]
    _show(arguments, answer, _table(("NAME", "KIND", "SERVER", ""), rows))


def _add(arguments: argparse.Namespace) -> None:
    _added(arguments, {"uri": arguments.uri, "name": arguments.name})


def _added(arguments: argparse.Namespace, body: dict[str, str]) -> None:
    answer = _ask(arguments, "POST", "/transports", body)
    _show(arguments, answer, [f"added {answer['name']}"])


def _remove(arguments: argparse.Namespace) -> None:
    answer = _ask(arguments, "DELETE", f"/transports/{quote(arguments.name, safe='')}")
    _show(arguments, answer, [f"removed {arguments.name}"])


def _enable(arguments: argparse.Namespace) -> None:
    answer = _ask(arguments, "POST", f"/transports/{quote(arguments.name, safe='')}/enable")
    _show(arguments, answer, [f"enabled {arguments.name}"])


def _disable(arguments: argparse.Namespace) -> None:
    answer = _ask(arguments, "POST", f"/transports/{quote(arguments.name, safe='')}/disable")
    _show(arguments, answer, [f"disabled {arguments.name}"])


def _subscriptions(arguments: argparse.Namespace) -> None:
    answer = _ask(arguments, "GET", "/subscriptions")
    heads = ("NAME", "HOST", "NODES", "UP", "FAILED", "USED", "EXPIRES", "UPDATED", "LAST ERROR")
    rows = [_subscription_row(one) for one in answer["subscriptions"]]
    news = (line for one in answer["subscriptions"] for line in _differences(one))
    _show(arguments, answer, [*_table(heads, rows), *news])


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
    body |= {"text": _read(arguments.file, LIMIT)} if arguments.file else {}
    answer = _ask(arguments, "POST", "/subscriptions", body, FETCH)
    _show(arguments, answer, [f"added {answer['name']}"])


def _unsubscribe(arguments: argparse.Namespace) -> None:
    answer = _ask(arguments, "DELETE", f"/subscriptions/{quote(arguments.name, safe='')}")
    _show(arguments, answer, [f"removed {arguments.name}, with its nodes"])


def _update(arguments: argparse.Namespace) -> None:
    body = {"text": _read(arguments.file, LIMIT)} if arguments.file else {}
    answer = _ask(arguments, "POST", f"/subscriptions/{quote(arguments.name, safe='')}/update", body, FETCH)
    _show(arguments, answer, [f"{arguments.name} is up to date"])


def _confirm(arguments: argparse.Namespace) -> None:
    answer = _ask(arguments, "POST", f"/subscriptions/{quote(arguments.name, safe='')}/confirm")
    _show(arguments, answer, [f"{arguments.name}: the other nodes are in use"])


def _use(arguments: argparse.Namespace) -> None:
    answer = _ask(arguments, "POST", "/use", {"name": arguments.name})
    _show(arguments, answer, [f"only through {arguments.name} from now on; `routerctl auto` ends that"])


def _auto(arguments: argparse.Namespace) -> None:
    _show(arguments, _ask(arguments, "POST", "/auto"), ["the watchdog chooses from now on"])


def _diagnose(arguments: argparse.Namespace) -> None:
    body: dict[str, object] = {"host": arguments.host, "direct": not arguments.through_only}
    if arguments.server:
        body = {"transport": arguments.host}
    elif not arguments.through_only:
        note = f"your provider sees an attempt to reach {arguments.host}; --through-only leaves that out"
        print(f"routerctl: {note}", file=sys.stderr, flush=True)
    answer = _ask(arguments, "POST", "/diagnose", body, DIAGNOSIS)
    _show(arguments, answer, _diagnosis_lines(answer))


def _diagnosis_lines(answer: dict[str, Any]) -> Iterator[str]:
    yield f"{answer['host']}: {answer['title']} ({answer['verdict']})"
    yield f"{answer['explanation']} {answer['cure']}."
    rows = [(s["stage"], s["way"], "ok" if s["ok"] else "no", f"{s['ms']} ms", s["detail"]) for s in answer["stages"]]
    yield from _table(("STAGE", "WAY", "", "", ""), rows)
    for one in answer["through"]:
        yield f"through {one['transport']}: {'opens' if one['ok'] else 'does not open'}, {one['ms']} ms"


def _reload(arguments: argparse.Namespace) -> None:
    _show(arguments, _ask(arguments, "POST", "/reload"), ["the settings were read again"])


def _export(arguments: argparse.Namespace) -> None:
    answer = _ask(arguments, "GET", f"/transports/{quote(arguments.name, safe='')}/link")
    _show(arguments, answer, [answer["uri"]])


def _import(arguments: argparse.Namespace) -> None:
    if arguments.dry_run:
        _preview(arguments, _read(arguments.source, LARGEST))
        return
    answer = _ask(arguments, "POST", "/import", {"text": _read(arguments.source, LIMIT)})
    lines = [f"added {one['name']} ({one['kind']})" for one in answer["transports"]]
    lines += [_refusal(one["input"], one["reason"]) for one in answer["rejected"]]
    _show(arguments, answer, lines + ["to fetch: routerctl subscription add NAME URL"] * bool(answer["subscriptions"]))
    if not answer["transports"]:
        raise Refused(_nothing([one["reason"] for one in answer["rejected"]]))


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


def _read(source: str, limit: int) -> str:
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


# -- the wire and the screen --------------------------------------------------------------------------------------


def _ask(
    arguments: argparse.Namespace, method: str, path: str, body: Mapping[str, object] | None = None, seconds: float = 15
) -> dict[str, Any]:
    connection, response = _open(arguments, method, path, body, seconds)
    answer: dict[str, Any] = json.loads(response.read())
    connection.close()
    if response.status >= 400:
        raise Refused(answer["error"]["message"])
    return answer


def _open(
    arguments: argparse.Namespace, method: str, path: str, body: Mapping[str, object] | None, timeout: float | None
) -> tuple[_Connection, http.client.HTTPResponse]:
    connection = _Connection(arguments.socket, timeout)
    try:
        connection.request(method, path, _sent(body))
        return connection, connection.getresponse()
    except FileNotFoundError as e:
        raise Refused(f"{arguments.socket}: no daemon listens there; start it, or give another --socket") from e
    except (OSError, http.client.HTTPException) as e:
        raise Refused(f"{arguments.socket}: {e}") from e


def _sent(body: Mapping[str, object] | None) -> bytes | None:
    return None if body is None else json.dumps(body, ensure_ascii=False).encode(errors="replace")


def _show(arguments: argparse.Namespace, answer: dict[str, Any], lines: Iterable[str]) -> None:
    print(json.dumps(answer, ensure_ascii=False, indent=1) if arguments.json else "\n".join(lines))


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    for row in (heads, *rows) if rows else ():
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
