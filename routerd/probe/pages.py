"""The stages that fetch: a page over plain HTTP, and as much as there is over TLS, watched while it comes."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin, urlsplit

import h11

from routerd.diagnosis import Page
from routerd.probe.stages import CONNECT, Seen, connected, secured, several, timed

ENOUGH = 1 << 16  # bytes: the censors that freeze do so after 16 KB or so
REQUESTS = 16  # a short page is asked for again on the same connection
TICK = 0.1  # seconds
STILL = 5.0  # seconds without a byte: frozen
WATCH = 8.0  # seconds that a download is watched
SLOW = 20_000  # bytes a second; below that a page is of no use, and a line of 5 % loss is still well above
LARGEST = 1 << 15  # bytes of a plain page that are compared
PLAIN = 4.0  # seconds


@dataclass(slots=True)
class Meter:
    """Counts what the kernel received: a TLS record of 16 KB is worth nothing to us until its last byte has come.

    `moving`: seconds in the midst of answers; the server's thinking is not counted.
    """

    sock: socket.socket
    size: int = 0
    moving: float = 0.0
    pages: int = 0
    most: int = REQUESTS
    asked: int | None = None  # the size when the page was asked for that we wait for

    def received(self) -> int:
        return int(struct.unpack_from("=Q", self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136), 128)[0])

    async def watch(self) -> None:
        """Ends when nothing has come for STILL seconds."""
        still = 0.0
        while still < STILL:
            await asyncio.sleep(TICK)
            before, self.size = self.size, self.received()
            still = still + TICK if self.size == before else 0.0
            if self.asked is not None and self.size > self.asked:
                self.moving += TICK

    def seen(self) -> Seen:
        kilobytes, rate = self.size / 1000, self.size / max(self.moving, 0.001)
        if self.moving >= 1.0 and rate < SLOW:
            return Seen("slow", f"{rate / 1000:.1f} KB/s, over {kilobytes:.0f} KB")
        return Seen("ok", f"{kilobytes:.0f} KB" + ("" if self.size >= ENOUGH else ", which is all there is"))

    def stopped(self, how: str) -> Seen:
        return Seen("frozen", f"{how} after {self.size / 1000:.0f} KB")


async def download(host: str, path: str, address: str, port: int, mark: int) -> Seen:
    """Fetches until ENOUGH has come over one connection. A download that stops is seen to stop twice."""
    seen = await several(lambda: timed(WATCH + 2 * CONNECT, download_once(host, path, address, port, mark)), 2, 3.5)
    return seen if seen.word in ("ok", "slow", "untried") else replace(seen, word="frozen")


async def download_once(host: str, path: str, address: str, port: int, mark: int, requests: int = REQUESTS) -> Seen:
    """Raises OSError, ssl.SSLError where no connection comes about; `stages.timed` makes words of these."""
    reader, writer = await secured(address, port, mark, host)
    meter = Meter(writer.get_extra_info("socket"), most=requests)
    fetching = asyncio.create_task(_fetch_enough(reader, writer, _request(host, path), meter))
    watching = asyncio.create_task(meter.watch())
    try:
        await asyncio.wait((fetching, watching), timeout=WATCH, return_when=asyncio.FIRST_COMPLETED)
        if fetching.done():
            await fetching
        elif watching.done():
            return meter.stopped(f"nothing for {STILL:.0f} s")
        return meter.seen()
    except (OSError, h11.ProtocolError):
        return meter.stopped("cut off")
    finally:
        fetching.cancel()
        watching.cancel()
        await asyncio.gather(fetching, watching, return_exceptions=True)
        writer.transport.abort()


async def _fetch_enough(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request, meter: Meter
) -> None:
    connection = h11.Connection(h11.CLIENT)
    while meter.size < ENOUGH and meter.pages < meter.most:
        meter.asked = meter.received()
        writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        await _fetch_one(reader, connection, meter)
        meter.size, meter.pages, meter.asked = meter.received(), meter.pages + 1, None
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _fetch_one(reader: asyncio.StreamReader, connection: h11.Connection, meter: Meter) -> None:
    while meter.received() < ENOUGH:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(1 << 15))
            case h11.EndOfMessage() | h11.ConnectionClosed() | h11.PAUSED:
                return


def _request(host: str, path: str) -> h11.Request:
    headers = [("Host", host), ("User-Agent", "Mozilla/5.0"), ("Accept", "*/*"), ("Accept-Encoding", "identity")]
    return h11.Request(method="GET", target=path, headers=headers)


# -- plain HTTP -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Found:
    """The last page that a try of `plain` got."""

    page: Page | None = field(default=None)


async def plain(host: str, path: str, address: str, mark: int) -> tuple[Seen, Page | None]:
    found = Found()
    seen = await several(lambda: timed(PLAIN, _plain(host, path, address, mark, found)), 3, 1.0)
    return (replace(seen, word="reset") if seen.word == "refused" else seen), found.page


async def _plain(host: str, path: str, address: str, mark: int, found: Found) -> Seen:
    sock = await connected(address, 80, mark)
    reader, writer = await asyncio.open_connection(sock=sock)
    connection = h11.Connection(h11.CLIENT)
    status, location, body = 0, "", b""
    try:
        async with asyncio.timeout(PLAIN):
            writer.write(connection.send(_request(host, path)) or b"")
            while len(body) < LARGEST:
                match connection.next_event():
                    case h11.NEED_DATA:
                        connection.receive_data(await reader.read(1 << 14))
                    case h11.Response(status_code=status, headers=headers):
                        location = next((v.decode("ascii", "replace") for k, v in headers if k == b"location"), "")
                    case h11.Data(data=data):
                        body += data
                    case _:
                        break
    except h11.RemoteProtocolError as e:
        raise ConnectionResetError from e
    finally:
        writer.transport.abort()
    found.page = Page(status, _host(f"http://{host}{path}", location), _title(body), len(body))
    return Seen("ok", f"status {status}")


def _host(base: str, location: str) -> str:
    try:
        return urlsplit(urljoin(base, location)).hostname or "" if location else ""
    except ValueError:
        return "?"


def _title(body: bytes) -> str:
    found = re.search(rb"<title[^>]*>(.{0,200}?)</title", body, re.IGNORECASE | re.DOTALL)
    return found[1].decode("utf-8", "replace").strip() if found else ""
