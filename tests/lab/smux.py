"""Streams in one stream: the server's end of smux, version 2 (xtaci/smux, frame.go). Each is a connection to one place."""

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

HEADER = struct.Struct("<BBHI")  # version, command, length, stream
UPDATE = struct.Struct("<II")  # bytes taken so far, and how many more may be on their way
VERSION = 2
SYN, FIN, PSH, NOP, UPD = range(5)
FIRST_WINDOW = 1 << 18  # what a peer allows before it has said anything
WINDOW = 1 << 20
OFTEN = 1 << 16  # bytes after which we say how many we took
PIECE = 1 << 15


@dataclass(slots=True)
class Stream:
    """`up`: what came from the peer (None: its end). `taken`, `window`: what the peer says of what we sent."""

    number: int
    up: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    taken: int = 0
    window: int = FIRST_WINDOW
    heard: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Smux:
    """`place`: where the streams go. `send`: to the peer. `room`: comes back when not too much is on its way there."""

    place: tuple[str, int]
    send: Callable[[bytes], None]
    room: Callable[[], Awaitable[None]]
    streams: dict[int, Stream] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    pending: bytearray = field(default_factory=bytearray)

    def take(self, data: bytes) -> None:
        """Bytes of the peer's, cut anywhere."""
        self.pending += data
        while len(self.pending) >= HEADER.size:
            _, command, length, number = HEADER.unpack_from(self.pending)
            if len(self.pending) < HEADER.size + length:
                return
            body = bytes(self.pending[HEADER.size : HEADER.size + length])
            del self.pending[: HEADER.size + length]
            self._frame(command, number, body)

    def _frame(self, command: int, number: int, body: bytes) -> None:
        if command == SYN:
            self.streams[number] = stream = Stream(number)
            task = asyncio.create_task(self._serve(stream))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        elif found := self.streams.get(number):
            if command == PSH:
                found.up.put_nowait(body)
            elif command == FIN:
                found.up.put_nowait(None)
            elif command == UPD:
                found.taken, found.window = UPDATE.unpack(body)
                found.heard.set()

    async def _serve(self, stream: Stream) -> None:
        """Until either side ends."""
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(*self.place)
            ways = [asyncio.create_task(way) for way in (self._up(stream, writer), self._down(stream, reader))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
        self.send(HEADER.pack(VERSION, FIN, 0, stream.number))
        self.streams.pop(stream.number, None)

    async def _up(self, stream: Stream, writer: asyncio.StreamWriter) -> None:
        total = told = 0
        while (data := await stream.up.get()) is not None:
            writer.write(data)
            await writer.drain()
            total += len(data)
            if total - told >= OFTEN:
                told = total
                update = UPDATE.pack(total & 0xFFFFFFFF, WINDOW)
                self.send(HEADER.pack(VERSION, UPD, len(update), stream.number) + update)

    async def _down(self, stream: Stream, reader: asyncio.StreamReader) -> None:
        sent = 0
        while True:
            free = stream.window - (sent - stream.taken & 0xFFFFFFFF)
            if free <= 0:
                stream.heard.clear()
                await stream.heard.wait()
                continue
            await self.room()
            data = await reader.read(min(free, PIECE))
            if not data:
                return
            sent += len(data)
            self.send(HEADER.pack(VERSION, PSH, len(data), stream.number) + data)

