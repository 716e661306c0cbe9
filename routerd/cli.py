"""routerctl: the owner's commands. Speaks to the daemon's socket alone; `import --dry-run` needs no daemon.

Exit status: 0 done, 1 refused or failed (one line on stderr), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from routerd import __version__
from routerd.links import wall
from routerd.links.bulk import Rejected, described, outcomes
from routerd.wire import Refused, ask, events, show, table

DIAGNOSIS = 40  # seconds; the daemon ends it after 30
FETCH = 60  # seconds; the daemon ends it sooner
SEARCH = 50  # seconds; the daemon ends it sooner
LIMIT = 1 << 20  # bytes that can be imported at once
LARGEST = 1 << 26  # bytes of a list that is only looked at
_JSON = json.JSONEncoder(ensure_ascii=False)


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
    bends = verbs.add_parser("desync", help="ways past a censor without a server").add_subparsers(
        required=True, metavar="VERB"
    )
    verb(bends, "list", _desync, "what was found to work, and for how many sites")
    searching = verb(
        bends, "search", _search, "look for what lets a site through; your provider sees the tries", "host"
    )
    searching.add_argument("--http", action="store_true", help="plain HTTP in place of HTTPS")
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
    body |= {"text": _read(arguments.file, LIMIT)} if arguments.file else {}
    answer = ask(arguments, "POST", "/subscriptions", body, FETCH)
    show(arguments, answer, [f"added {answer['name']}"])


def _unsubscribe(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "DELETE", f"/subscriptions/{quote(arguments.name, safe='')}")
    show(arguments, answer, [f"removed {arguments.name}, with its nodes"])


def _update(arguments: argparse.Namespace) -> None:
    body = {"text": _read(arguments.file, LIMIT)} if arguments.file else {}
    answer = ask(arguments, "POST", f"/subscriptions/{quote(arguments.name, safe='')}/update", body, FETCH)
    show(arguments, answer, [f"{arguments.name} is up to date"])


def _confirm(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "POST", f"/subscriptions/{quote(arguments.name, safe='')}/confirm")
    show(arguments, answer, [f"{arguments.name}: the other nodes are in use"])


def _use(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "POST", "/use", {"name": arguments.name})
    show(arguments, answer, [f"only through {arguments.name} from now on; `routerctl auto` ends that"])


def _auto(arguments: argparse.Namespace) -> None:
    show(arguments, ask(arguments, "POST", "/auto"), ["the watchdog chooses from now on"])


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


def _reload(arguments: argparse.Namespace) -> None:
    show(arguments, ask(arguments, "POST", "/reload"), ["the settings were read again"])


def _export(arguments: argparse.Namespace) -> None:
    answer = ask(arguments, "GET", f"/transports/{quote(arguments.name, safe='')}/link")
    show(arguments, answer, [answer["uri"]])


def _import(arguments: argparse.Namespace) -> None:
    if arguments.dry_run:
        _preview(arguments, _read(arguments.source, LARGEST))
        return
    answer = ask(arguments, "POST", "/import", {"text": _read(arguments.source, LIMIT)})
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
