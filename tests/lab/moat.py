"""Tor's Moat in the lab: `settings` and `defaults` as rdsys documents them (its doc/moat.md), over HTTPS.

As a program: `moat CONFIG`. What it knows of each country is a file that is read anew for each request; each request is a
line of its log. Status 200 always, errors too.
"""

import json
import ssl
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from .net import Host, wait_until
from .panel import QuietServer
from .pki import Authority
from .topology import server_host

NUMBER = 91
ADDRESS4, NAME = f"203.0.113.{NUMBER}", "moat.servers.example"
ROOT = "/moat/circumvention"
Json = dict[str, Any]


@dataclass(slots=True)
class Moat:
    """`know(...)` sets what is answered, by country ("defaults" for any); `requests()` are those it got."""

    host: Host

    @property
    def url(self) -> str:
        return f"https://{NAME}{ROOT}"

    def know(self, answers: Mapping[str, Sequence[Json]]) -> None:
        (self.host.directory / "answers.json").write_text(json.dumps(answers))

    def requests(self) -> list[Json]:
        file = self.host.directory / "requests.log"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def setting(kind: str, *lines: str, source: str = "bridgedb") -> Json:
    return {"bridges": {"type": kind, "source": source, "bridge_strings": list(lines)}}


def start_moat(net: Any, ca: Authority) -> Moat:
    host = server_host(net, "moat", NUMBER)
    cert = ca.issue(host.directory, "moat", [NAME])
    moat = Moat(host)
    moat.know({})
    host.module("moat", json.dumps({"folder": str(host.directory), "cert": str(cert.cert), "key": str(cert.key)}))
    wait_until(lambda: host.listens("tcp", 443), 10, "Moat listens")
    return moat


def answered(path: str, asked: Json, known: Mapping[str, Sequence[Json]]) -> Json:
    """`{}`: Tor works there without bridges."""
    if path == f"{ROOT}/settings" and not asked.get("country"):
        return _error(406, "Could not find country code for circumvention settings")
    where = {f"{ROOT}/settings": asked.get("country", ""), f"{ROOT}/defaults": "defaults"}.get(path)
    if where is None:
        return _error(404, "Not found")
    if where not in known:
        return {}
    kinds = asked.get("transports") or [one["bridges"]["type"] for one in known[where]]
    found = [one for one in known[where] if one["bridges"]["type"] in kinds]
    return {"settings": found} if found else _error(404, "No provided transport is available for this country")


def _error(code: int, detail: str) -> Json:
    return {"errors": [{"code": code, "detail": detail}]}


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or "{}")
        with (self.folder / "requests.log").open("a") as log:
            log.write(json.dumps({"path": self.path, "peer": self.client_address[0], "asked": asked}) + "\n")
        body = json.dumps(answered(self.path, asked, json.loads((self.folder / "answers.json").read_text()))).encode()
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


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
