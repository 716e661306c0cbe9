"""A subscription panel: HTTPS that gives lists, quota headers and ETags, and every misbehaviour of fault 62 when told to.

As a program: `panel CONFIG`. Its mode is a file that is read anew for each request; each request is a line of its log.
"""

import gzip
import hashlib
import json
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .net import Host, wait_until
from .pki import Authority
from .topology import server_host

NUMBER = 90
ADDRESS4, NAME = f"203.0.113.{NUMBER}", "panel.servers.example"
AT_HOME = "home.servers.example"  # a name that leads into the household
TOKEN = "t0ken-of-the-household"
FACTS = {
    "subscription-userinfo": "upload=1000000000; download=2000000000; total=10000000000; expire=4102444800",
    "profile-title": "base64:8J+MjSBBdW50J3M=",
    "profile-update-interval": "6",
}
PAGE = b"<!DOCTYPE html><html><body>Please renew your plan</body></html>"


@dataclass(slots=True)
class Panel:
    """`say(mode)` changes what it answers; `requests()` are those it got, with their headers in lower case."""

    host: Host

    @property
    def url(self) -> str:
        return f"https://{NAME}/sub/{TOKEN}"

    def say(self, mode: str, text: str | None = None) -> None:
        if text is not None:
            (self.host.directory / "list.txt").write_text(text)
        (self.host.directory / "mode").write_text(mode)

    def requests(self) -> list[dict[str, Any]]:
        file = self.host.directory / "requests.log"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def start_panel(net: Any, ca: Authority) -> Panel:
    host = server_host(net, "panel", NUMBER)
    cert = ca.issue(host.directory, "panel", [NAME, AT_HOME, ADDRESS4])
    panel = Panel(host)
    panel.say("list", "")
    config = {"folder": str(host.directory), "cert": str(cert.cert), "key": str(cert.key)}
    host.module("panel", json.dumps(config))
    wait_until(lambda: host.listens("tcp", 443), 10, "the panel listens")
    return panel


class QuietServer(ThreadingHTTPServer):
    address_family = socket.AF_INET
    daemon_threads = True

    def server_bind(self) -> None:  # the usual one looks its own name up
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        with (self.folder / "requests.log").open("a") as log:
            log.write(json.dumps({"path": self.path, "peer": self.client_address[0], **headers}) + "\n")
        mode, _, rest = (self.folder / "mode").read_text().partition(" ")
        self.close_connection = True
        getattr(self, f"_{mode}")((self.folder / "list.txt").read_bytes(), rest)

    def _send(self, status: int, body: bytes, headers: dict[str, str], length: int | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body) if length is None else length), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def _list(self, text: bytes, _rest: str) -> None:
        tag = f'"{hashlib.sha256(text).hexdigest()[:16]}"'
        if self.headers.get("If-None-Match") == tag:
            self._send(304, b"", {"ETag": tag})
        else:
            self._send(200, text, {**FACTS, "ETag": tag, "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"})

    def _page(self, _text: bytes, _rest: str) -> None:
        self._send(200, PAGE, {"Content-Type": "text/plain"})

    def _empty(self, _text: bytes, _rest: str) -> None:
        self._send(200, b"", {})

    def _status(self, _text: bytes, rest: str) -> None:
        self._send(int(rest), b"no", {})

    def _garbage(self, _text: bytes, _rest: str) -> None:
        self._send(200, bytes(range(256)) * 400, {})

    def _truncated(self, text: bytes, _rest: str) -> None:
        self._send(200, text[: len(text) // 2], {}, len(text))

    def _unframed(self, text: bytes, _rest: str) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def _endless(self, text: bytes, _rest: str) -> None:
        self._send(200, text, {}, 5 << 30)
        while True:
            self.wfile.write(text or b"x" * 65536)

    def _drip(self, text: bytes, _rest: str) -> None:
        self._send(200, b"", {}, len(text))
        for byte in text:
            self.wfile.write(bytes([byte]))
            time.sleep(1)

    def _bomb(self, _text: bytes, _rest: str) -> None:
        body = gzip.compress(b"\0" * (64 << 20), 9) * 20  # 1.3 MB on the wire, more than a gigabyte behind it
        self._send(200, body, {"Content-Encoding": "gzip"})

    def _gzip(self, text: bytes, _rest: str) -> None:
        self._send(200, gzip.compress(text), {**FACTS, "Content-Encoding": "gzip"})

    def _redirect(self, _text: bytes, rest: str) -> None:
        self._send(302, b"", {"Location": rest})

    def _once(self, text: bytes, rest: str) -> None:
        """Sent on to another path of its own, which has the list."""
        if self.path == rest:
            self._list(text, "")
        else:
            self._redirect(text, rest)


def main() -> None:
    config = json.loads(sys.argv[1])
    _Handler.folder = Path(config["folder"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config["cert"], config["key"])
    server = QuietServer(("0.0.0.0", 443), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()
