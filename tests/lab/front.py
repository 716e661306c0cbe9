"""A CDN in the lab: one address and one name for TLS, and behind it what a request's Host header names. Domain fronting.

As a program: `front CONFIG`. The hidden names are in no resolver, so whoever looks them up gets nowhere; a handshake for any
name but the front's is refused. Each request is a line of its log.
"""

import json
import ssl
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from .broker import Broker
from .capture import Allowed
from .meek import Meek
from .net import Host, Net, wait_until
from .panel import QuietServer
from .pki import Authority
from .topology import server_host

NUMBER = 42
ADDRESS4, NAME = f"203.0.113.{NUMBER}", "front.servers.example"
MEEK, BROKER = "meek.hidden.example", "broker.hidden.example"
HTTPS = Allowed(ADDRESS4, "tcp", 443)


@dataclass(slots=True)
class Front:
    """`requests()`: those it got: the `host` that each named, its `path`, and its answer's `status`."""

    host: Host

    def requests(self) -> list[dict[str, Any]]:
        file = self.host.directory / "requests.log"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def start_front(net: Net, ca: Authority, bridge: tuple[str, int]) -> Front:
    """`bridge`: the address and ORPort behind the meek server."""
    host = server_host(net, "front", NUMBER)
    cert = ca.issue(host.directory, "front", [NAME])
    config = {"folder": str(host.directory), "cert": str(cert.cert), "key": str(cert.key), "bridge": bridge}
    host.module("front", json.dumps(config))
    wait_until(lambda: host.listens("tcp", 443), 10, "the front listens")
    return Front(host)


Behind = Callable[[str, Message, bytes], tuple[int, bytes]]  # path, headers and body; status and body


class _Handler(BaseHTTPRequestHandler):
    log: Path
    behind: Mapping[str, Behind]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        up = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        host = self.headers.get("Host", "")
        behind = self.behind.get(host, nobody)
        status, down = behind(self.path, self.headers, up)
        with self.log.open("a") as log:
            log.write(json.dumps({"host": host, "path": self.path, "status": status}) + "\n")
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(down)))
        self.end_headers()
        self.wfile.write(down)


def nobody(path: str, headers: Message, body: bytes) -> tuple[int, bytes]:
    return 404, b""


def only_the_front(sock: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
    return None if name == NAME else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


def main() -> None:
    config = json.loads(sys.argv[1])
    _Handler.log = Path(config["folder"]) / "requests.log"
    broker = Broker()
    _Handler.behind = {MEEK: Meek(tuple(config["bridge"])).asked, BROKER: broker.client, NAME: broker.volunteer}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config["cert"], config["key"])
    context.sni_callback = only_the_front
    server = QuietServer((ADDRESS4, 443), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()
