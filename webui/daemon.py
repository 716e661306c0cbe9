"""A small client of the daemon's API: HTTP/1.1 and JSON over a Unix socket, stdlib only.

`DaemonError` is an answer of the daemon that says no; `Unreachable` is no answer at all.
"""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import quote

ANSWER_LIMIT = 4 * 1024 * 1024
CALL_SECONDS = 10.0
FETCH_SECONDS = 40.0  # the daemon gives up a list that drips after 20 s, and may wait for one fetch before its own
STREAM_SILENCE_SECONDS = 40.0  # the daemon's heartbeat comes every 15 s


class Unreachable(Exception):
    """The daemon is not there, or does not answer in time, or does not speak HTTP."""


class DaemonError(Exception):
    """The daemon refused. `code` is for programs, `message` for the owner."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Imported:
    """Names of what was added, addresses of lists to subscribe to, and what was refused, with the reason."""

    added: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise


class Daemon:
    """The verbs of the API. Every call is a connection of its own; safe from any thread."""

    def __init__(self, path: str, timeout: float = CALL_SECONDS) -> None:
        self._path = path
        self._timeout = timeout

    def status(self) -> dict[str, object]:
        return self._call("GET", "/status")

    def transports(self) -> list[object]:
        return _list(self._call("GET", "/transports"), "transports")

    def journal(self) -> list[object]:
        return _list(self._call("GET", "/log"), "journal")

    def use(self, name: str) -> None:
        self._call("POST", "/use", {"name": name})

    def auto(self) -> None:
        self._call("POST", "/auto", {})

    def try_next(self) -> None:
        self._call("POST", "/try-next", {})

    def import_text(self, pasted: str, name: str = "") -> Imported:
        """All of it that can be used is added in one step; `name` is for a text that holds a single way."""
        answer = self._call("POST", "/import", {"text": pasted, "name": name} if name else {"text": pasted})
        rejected = [_strings(each) for each in _list(answer, "rejected")]
        return Imported(
            tuple(_strings(each).get("name", "") for each in _list(answer, "transports")),
            tuple(each for each in _list(answer, "subscriptions") if isinstance(each, str)),
            tuple((each.get("input", ""), each.get("reason", "")) for each in rejected if "subscription" not in each),
        )

    def subscribe(self, address: str) -> str:
        """Its name: the list's host, or that with a number."""
        return str(self._call("POST", "/subscriptions", {"url": address}).get("name", ""))

    def update(self, name: str) -> None:
        """Fetches a list anew, and waits for it."""
        self._call("POST", _of("subscriptions", name, "update"), {}, FETCH_SECONDS)

    def hand_over(self, name: str, text: str) -> None:
        """The list itself, where it cannot be fetched."""
        self._call("POST", _of("subscriptions", name, "update"), {"text": text}, FETCH_SECONDS)

    def confirm(self, name: str) -> None:
        self._call("POST", _of("subscriptions", name, "confirm"), {})

    def unsubscribe(self, name: str) -> None:
        self._call("DELETE", _of("subscriptions", name))

    def remove(self, name: str) -> None:
        self._call("DELETE", _of("transports", name))

    def enable(self, name: str, wanted: bool) -> None:
        self._call("POST", _of("transports", name, "enable" if wanted else "disable"), {})

    def events(self) -> Iterator[tuple[str, str]]:
        """(event, data) as they come; ("", "") for a heartbeat. Ends when the daemon hangs up."""
        connection = _UnixConnection(self._path, STREAM_SILENCE_SECONDS)
        with closing(connection):
            try:
                connection.request("GET", "/events", headers={"Accept": "text/event-stream"})
                answer = connection.getresponse()
                if answer.status != 200:
                    raise Unreachable(f"/events answered {answer.status}")
                yield from _parse_stream(answer)
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(str(error)) from error

    def _call(
        self, method: str, path: str, body: dict[str, object] | None = None, seconds: float = 0.0
    ) -> dict[str, object]:
        connection = _UnixConnection(self._path, max(seconds, self._timeout))
        payload = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        with closing(connection):
            try:
                connection.request(method, path, payload, headers)
                answer = connection.getresponse()
                raw = answer.read(ANSWER_LIMIT + 1)
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(str(error)) from error
        return _judge(answer.status, raw)


def _of(kind: str, name: str, *verb: str) -> str:
    return "/".join(("", kind, quote(name, safe=""), *verb))


def _judge(status: int, raw: bytes) -> dict[str, object]:
    try:
        answer: object = json.loads(raw) if raw and len(raw) <= ANSWER_LIMIT else {}
    except ValueError as error:
        raise Unreachable("the answer is not JSON") from error
    found = answer if isinstance(answer, dict) else {}
    if status < 400:
        return found
    error_part = found.get("error")
    told = error_part if isinstance(error_part, dict) else {}
    raise DaemonError(status, str(told.get("code", "")), str(told.get("message", "")))


def _list(answer: dict[str, object], key: str) -> list[object]:
    value = answer.get(key)
    return value if isinstance(value, list) else []


def _strings(value: object) -> dict[str, str]:
    return {key: each for key, each in value.items() if isinstance(each, str)} if isinstance(value, dict) else {}


def _parse_stream(answer: http.client.HTTPResponse) -> Iterator[tuple[str, str]]:
    """text/event-stream as the HTML standard has it, less what the daemon never sends (id, retry)."""
    event, data = "message", list[str]()
    while line := answer.readline(ANSWER_LIMIT):
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if text.startswith(":"):
            yield "", ""
        elif text.startswith("event:"):
            event = text[6:].strip()
        elif text.startswith("data:"):
            data.append(text[5:].removeprefix(" "))
        elif not text:
            if data:
                yield event, "\n".join(data)
            event, data = "message", []
