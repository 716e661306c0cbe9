"""The web page before a recorded daemon: a small HTTP server on a Unix socket that answers as the API's document says.

What it answers well is held against that document, so that no test is about a daemon that there is not; but for those
that are about just this (`Daemon.strange`).
"""

import base64
import hashlib
import json
import queue
import re
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.openapi import conforms
from webui import parts
from webui.app import create_app
from webui.parts import Parts

PASSWORD = "four quiet horses sing"
QUICK_HASH = (  # of PASSWORD, with parameters that cost nothing: the real ones take 0.2 s each time
    "scrypt:2:1:1$AAAA$"
    + base64.b64encode(hashlib.scrypt(PASSWORD.encode(), salt=b"\0\0\0", n=2, r=1, p=1, dklen=32)).decode()
)
ORIGIN = {"Origin": "http://localhost"}


def transport(name: str, state: str = "up", **more: Any) -> dict[str, Any]:
    row = {"name": name, "kind": "vless", "state": state, "latency_ms": 82, "warm": True, "last_error": None}
    told = {"bytes_up": 0, "bytes_down": 0, "udp": True, "ipv6": True, "subscription": None, "builtin": False}
    return {**row, **told, **more}


def status(*transports: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {"version": "1.0", "phase": "open", "mode": "auto", "active": "home", "since": "2026-01-01T00:00:00Z"}
    return {**told, "transports": list(transports), "problems": [], "subscriptions": [], **more}


def subscription(name: str, **more: Any) -> dict[str, Any]:
    row = {"name": name, "host": "panel.example", "title": "", "nodes": 12, "up": 2, "failed": 3, "rejected": 0}
    told = {"used_bytes": 3 * 10**9, "total_bytes": 10**10, "expires": "2031-05-06T00:00:00Z"}
    held = {"updated": "2026-01-01T00:00:00Z", "last_error": None, "waits": False, "expired": False}
    return {**row, **told, **held, "latest": {"added": [], "removed": [], "changed": []}, "pending": None, **more}


def news(name: str, added: int, removed: int, changed: int = 0) -> dict[str, list[str]]:
    rows = {"added": ("new", added), "removed": ("old", removed), "changed": ("other", changed)}
    return {key: [f"{name}/{word} {n}" for n in range(1, count + 1)] for key, (word, count) in rows.items()}


class Daemon:
    """What was asked (`calls`), what is answered (`status`, `found` by an import, `refuse`), what is told to all who listen (`change`)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.status = status(transport("home"), transport("cousin", "down", latency_ms=None, last_error="timed out"))
        self.journal: list[dict[str, str]] = [{"at": "2026-01-01T00:00:00Z", "kind": "switch", "text": "home is used"}]
        aunt = {"name": "Aunt", "kind": "vless", "uri": "vless://", "server": "192.0.2.7", "port": 443}
        self.found: dict[str, Any] = {"transports": [aunt], "rejected": [], "subscriptions": []}
        self.refuse: tuple[int, str, str] | None = None
        self.calls: list[tuple[str, str, Any]] = []
        self.listeners: list[queue.Queue[str | None]] = []
        self.servers: dict[str, str] = {}
        self.strange = False
        self.lies: list[str] = []

    def change(self, **fields: Any) -> None:
        self.status = {**self.status, **fields}
        for each in list(self.listeners):
            each.put(f"event: status\ndata: {json.dumps(self.status)}\n\n")

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        code, found = self._answer(method, unquote(target), body)
        if code < 400 and not self.strange:
            try:
                conforms(method, target, code, found)
            except AssertionError as e:
                self.lies.append(str(e))
        return code, found

    def _answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if method != "GET":
            self.calls.append((method, path, body))
        if self.refuse:
            code, name, message = self.refuse
            return code, {"error": {"code": name, "message": message}}
        match method, path:
            case "GET", "/status":
                return 200, self.status
            case "GET", "/log":
                return 200, {"journal": self.journal}
            case "GET", "/transports":
                return 200, {"transports": [self._listed(each) for each in self.status["transports"]]}
            case "POST", "/import":
                return 200, self.found
            case "POST", "/subscriptions":
                return 201, {"name": urlsplit(body["url"]).hostname}
            case "POST", "/use":
                self.change(active=body["name"], mode="manual")
                return 200, {"name": body["name"]}
            case "POST", "/auto":
                return 200, {}
            case "POST", "/try-next":
                return 200, {"name": "cousin"}
        known = method == "DELETE" or re.search(r"/(enable|disable|update|confirm)$", path)
        return (200, {"name": path.split("/")[2]}) if known else (404, {"error": {"code": "not_found", "message": "no such thing"}})

    def _listed(self, each: dict[str, Any]) -> dict[str, Any]:
        enabled = each["state"] != "disabled"
        return {"name": each["name"], "kind": each["kind"], "enabled": enabled, "server": self.servers.get(each["name"], "192.0.2.9"), "port": 443, "subscription": each["subscription"]}


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    told: Daemon


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def address_string(self) -> str:
        return "socket"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _any(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        if self.path == "/events":
            return self._stream()
        code, answer = self.server.told.answer(self.command, self.path, body)
        raw = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)
        return None

    do_GET = do_POST = do_DELETE = _any

    def _stream(self) -> None:
        told, waiting = self.server.told, queue.Queue[str | None]()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        waiting.put(f"event: status\ndata: {json.dumps(told.status)}\n\n")
        told.listeners.append(waiting)
        try:
            while (text := waiting.get()) is not None:
                self.wfile.write(text.encode())
        except OSError:
            pass
        finally:
            told.listeners.remove(waiting)
            self.close_connection = True


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    path = str(tmp_path / "api.sock")
    with _Server(path, _Handler) as server:
        server.told = Daemon(path)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server.told
        for each in list(server.told.listeners):
            each.put(None)
        server.shutdown()
        thread.join()
        assert not server.told.lies, server.told.lies[0]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def own(daemon: Daemon, tmp_path: Path, clock: Clock) -> Parts:
    return parts.make(daemon.path, tmp_path / "state", frozenset({"box.example"}), clock)


@pytest.fixture
def app(own: Parts, tmp_path: Path) -> Flask:
    """Set up: there is a password."""
    kept = tmp_path / "state" / "password"
    kept.write_text(QUICK_HASH)
    kept.chmod(0o600)
    return create_app(own)


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def owner(app: Flask) -> FlaskClient:
    client = app.test_client()
    assert login(client).status_code == 303
    return client


def token(client: FlaskClient, page: str = "/") -> str:
    found = re.search(r'name="token" value="([^"]+)"', client.get(page).text)
    assert found, f"{page} has no form"
    return found[1]


def login(client: FlaskClient, password: str = PASSWORD, peer: str = "192.168.77.5") -> TestResponse:
    form = {"password": password, "token": token(client, "/login")}
    return client.post("/login", data=form, headers=ORIGIN, environ_base={"REMOTE_ADDR": peer})


def post(client: FlaskClient, path: str, page: str = "/", **form: str) -> TestResponse:
    return client.post(path, data={**form, "token": token(client, page)}, headers=ORIGIN)
