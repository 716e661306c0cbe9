"""The socket and the screen, for routerctl: what the daemon is asked, and how an answer is shown."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


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


def ask(
    arguments: argparse.Namespace, method: str, path: str, body: Mapping[str, object] | None = None, seconds: float = 15
) -> dict[str, Any]:
    connection, response = connected(arguments, method, path, body, seconds)
    answer: dict[str, Any] = json.loads(response.read())
    connection.close()
    if response.status >= 400:
        raise Refused(answer["error"]["message"])
    return answer


def connected(
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


def events(
    arguments: argparse.Namespace, method: str, path: str, body: Mapping[str, object] | None, timeout: float | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and data of each, as they come (text/event-stream)."""
    connection, response = connected(arguments, method, path, body, timeout)
    if response.status >= 400:
        raise Refused(json.loads(response.read())["error"]["message"])
    kind = ""
    try:
        for raw in response:
            line = raw.decode(errors="replace").rstrip("\n")
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield kind, json.loads(line.removeprefix("data: "))
    except (OSError, http.client.HTTPException) as e:
        raise Refused(f"{arguments.socket}: {e}") from e
    finally:
        connection.close()


def _sent(body: Mapping[str, object] | None) -> bytes | None:
    return None if body is None else json.dumps(body, ensure_ascii=False).encode(errors="replace")


def show(arguments: argparse.Namespace, answer: dict[str, Any], lines: Iterable[str]) -> None:
    print(json.dumps(answer, ensure_ascii=False, indent=1) if arguments.json else "\n".join(lines))


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    for row in (heads, *rows) if rows else ():
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
