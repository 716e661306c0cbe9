"""HTTP/3 by aioquic, run as programs: a site's QUIC on UDP 443, and a household's client, as a browser's without TCP.

python -m tests.lab.http3 serve CERT KEY PAGE ADDRESS...      answers every GET with the page
python -m tests.lab.http3 fetch URL [-4|-6] [--large] [-m S]  prints the page; 0 only with a verified certificate

QUIC version 1. `--large`: a hello so long that its name is not in its first datagram, as those of browsers since
post-quantum keys; the length is one of ciphers said again and again.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
from urllib.parse import urlsplit

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent
from aioquic.quic.packet import QuicProtocolVersion
from aioquic.tls import CipherSuite

from .lab import Lab
from .net import ROOT, Host, wait_until
from .topology import Site

MANY = [CipherSuite.AES_128_GCM_SHA256, CipherSuite.AES_256_GCM_SHA384] * 350  # 1,400 bytes, before all extensions
V1 = [QuicProtocolVersion.VERSION_1]
READY = "listening"


class Server(QuicConnectionProtocol):
    """One connection; `page` is set by whoever makes it."""

    page = b""

    def quic_event_received(self, event: QuicEvent) -> None:
        if not hasattr(self, "http"):
            self.http = H3Connection(self._quic)
        for one in self.http.handle_event(event):
            if isinstance(one, HeadersReceived):
                self.answer(one.stream_id)

    def answer(self, stream: int) -> None:
        self.http.send_headers(stream, [(b":status", b"200"), (b"content-length", str(len(self.page)).encode())])
        self.http.send_data(stream, self.page, end_stream=True)
        self.transmit()


class Client(QuicConnectionProtocol):
    """One connection, one page."""

    async def get(self, host: str, path: str) -> bytes:
        self.body = bytearray()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.http = H3Connection(self._quic)
        head = {":method": "GET", ":scheme": "https", ":authority": host, ":path": path}
        stream = self._quic.get_next_available_stream_id()
        self.http.send_headers(stream, [(name.encode(), value.encode()) for name, value in head.items()], end_stream=True)
        self.transmit()
        await self.done
        return bytes(self.body)

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ConnectionTerminated) and hasattr(self, "done") and not self.done.done():
            self.done.set_exception(ConnectionError(event.reason_phrase))
        for one in self.http.handle_event(event) if hasattr(self, "http") else ():
            self.take(one)

    def take(self, event: H3Event) -> None:
        if isinstance(event, DataReceived):
            self.body += event.data
            if event.stream_ended and not self.done.done():
                self.done.set_result(None)


async def run_server(cert: str, key: str, page: bytes, addresses: list[str]) -> None:
    """For ever."""
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN, supported_versions=V1)
    configuration.load_cert_chain(cert, key)
    made = type("Site", (Server,), {"page": page})
    for address in addresses:
        await serve(address, 443, configuration=configuration, create_protocol=made)
    print(READY, flush=True)
    await asyncio.Event().wait()


async def fetch(url: str, family: int, large: bool) -> bytes:
    """The page. Raises ConnectionError or ssl's and aioquic's own; the time limit is the caller's."""
    parts = urlsplit(url)
    assert parts.hostname
    address = socket.getaddrinfo(parts.hostname, 443, family, socket.SOCK_DGRAM)[0][4][0]
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, supported_versions=V1, server_name=parts.hostname)
    configuration.original_version = QuicProtocolVersion.VERSION_1
    configuration.load_verify_locations(cafile=os.environ["SSL_CERT_FILE"])
    if large:
        configuration.cipher_suites = MANY
    async with connect(str(address), 443, configuration=configuration, create_protocol=Client) as client:
        return await client.get(parts.hostname, parts.path or "/")


def start(lab: Lab, site: Site) -> None:
    """QUIC for a site of the lab, with the certificate and the page of its HTTPS; not where the UDP service is."""
    cert = lab.sites.directory / f"{site.name}.pem"
    words = (str(cert), str(cert.with_suffix(".key")), lab.page_token(site.name), site.address4, site.address6)
    lab.sites.module("http3", "serve", *words)
    wait_until(lambda: READY in (lab.sites.directory / "http3.log").read_text(), 10, f"HTTP/3 of {site.name}")


def fetched(client: Host, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The client on a host of the household; never raises."""
    return client.run([sys.executable, "-m", "tests.lab.http3", "fetch", url, *options], check=False, cwd=ROOT)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    server = verbs.add_parser("serve")
    for name in ("cert", "key", "page"):
        server.add_argument(name)
    server.add_argument("addresses", nargs="+")
    client = verbs.add_parser("fetch")
    client.add_argument("url")
    family = client.add_mutually_exclusive_group()
    family.add_argument("-4", dest="family", action="store_const", const=socket.AF_INET)
    family.add_argument("-6", dest="family", action="store_const", const=socket.AF_INET6)
    client.add_argument("--large", action="store_true")
    client.add_argument("-m", type=float, default=5.0, help="seconds")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    if asked.verb == "serve":
        asyncio.run(run_server(asked.cert, asked.key, asked.page.encode(), asked.addresses))
        return 0
    try:
        page = asyncio.run(asyncio.wait_for(fetch(asked.url, asked.family or 0, asked.large), asked.m))
    except (TimeoutError, OSError) as error:
        print(f"{type(error).__name__} {error}", file=sys.stderr)
        return 1
    print(page.decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
