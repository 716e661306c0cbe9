"""The household, run as a program on the phone: begins requests, holds downloads, says on stdout what became of them.

    python -m bench.failover.client CONFIG-JSON

Commands on stdin: `ask page|blob|nothing`, `hold N` (drops what it holds, begins N anew). Times are monotonic: all of a
machine share them. Says `good BEGAN ENDED -`, `lost BEGAN ENDED STAGE`, and of downloads `broken BEGAN LAST
ENDED` (reset, or ended too early) or `held BEGAN LAST ENDED` (open when dropped); LAST is when its last byte came.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message

from bench.failover.outage import INTERVAL

TIMEOUT = 1.0  # seconds
BLOB = 64_000  # bytes: what a page is today, and more than censors let through before they freeze a flow
PATHS = {"page": "/", "blob": f"/blob/{BLOB}", "slow": "/slow"}


@dataclass(slots=True)
class Client:
    """`resolver`: whom it asks for each request's name; empty: it knows the address."""

    site: str
    host: str
    token: str
    resolver: str = ""
    asked: str = "nothing"
    names: itertools.count[int] = field(default_factory=itertools.count)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    held: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        commands = asyncio.create_task(self._listen())
        due = time.monotonic()
        while not commands.done():
            if self.asked != "nothing":
                _keep(self.tasks, asyncio.create_task(self._request(self.asked)))
            due = max(due + INTERVAL, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _listen(self) -> None:
        """Until the end of stdin."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            match line.decode().split():
                case ["ask", what]:
                    self.asked = what
                case ["hold", count]:
                    await self._hold(int(count))

    async def _request(self, what: str) -> None:
        began, stage = time.monotonic(), "name"
        try:
            async with asyncio.timeout(TIMEOUT):
                address = await self._address()
                stage = "answer"
                good = self._right(what, await self._fetch(address, PATHS[what]))
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, dns.exception.DNSException):
            good = False  # a TimeoutError is an OSError
        say("good" if good else "lost", began, time.monotonic(), "-" if good else stage)

    async def _address(self) -> str:
        """Of a name that no cache knows, asked once; a forged answer gives an address, and there a wrong page."""
        if not self.resolver:
            return self.site
        name = f"n{time.monotonic_ns()}-{next(self.names)}.canary.example"
        answer = await dns.asyncquery.udp(dns.message.make_query(name, "A"), self.resolver, timeout=TIMEOUT)
        return str(next(item.address for rrset in answer.answer for item in rrset))

    async def _fetch(self, address: str, path: str) -> bytes:
        """The body; not to the end of the stream, which some engines hold back."""
        reader, writer = await self._begin(address, path)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            return await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        except IndexError as e:
            raise ValueError("no length") from e
        finally:
            writer.transport.abort()

    async def _begin(self, address: str, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(address, 80)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        return reader, writer

    def _right(self, what: str, body: bytes) -> bool:
        return self.token.encode() in body if what == "page" else len(body) == BLOB

    async def _hold(self, count: int) -> None:
        for task in self.held:
            task.cancel()
        await asyncio.gather(*self.held, return_exceptions=True)
        for _ in range(count):
            _keep(self.held, asyncio.create_task(self._download()))

    async def _download(self) -> None:
        """A megabyte in a minute: the site's pace."""
        began = last = time.monotonic()
        try:
            reader, writer = await self._begin(self.site, PATHS["slow"])
            try:
                while await reader.read(1 << 16):
                    last = time.monotonic()
            finally:
                writer.transport.abort()
            say("broken", began, last, time.monotonic())
        except asyncio.CancelledError:
            say("held", began, last, time.monotonic())
        except OSError:
            say("broken", began, last, time.monotonic())


def _keep(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def say(*words: object) -> None:
    print(*words, flush=True)


if __name__ == "__main__":
    config: dict[str, Any] = json.loads(sys.argv[1])
    asyncio.run(Client(**config).run())
