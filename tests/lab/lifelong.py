"""Flows that nobody closes, run as a program in a client's namespace: lifelong CONFIG-JSON, until SIGTERM.

UDP from the same ports all the time, v4 and v6; TCP connections that only send, opened anew when they are cut.
Everything carries the canary. Writes a line for each event, as JSON: Unix time, kind, text. `answer`: of the UDP
service, with the peer that it saw; `opened` and `cut`: of a TCP connection, with the number of its flow.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import IO, Any

PAUSE = 0.005  # between the packets of a flow
PATIENCE = 0.25  # seconds until a connection that does not come about is given up


@dataclass(slots=True)
class Flows:
    """The flows of one run; `file` gets a JSON list for each thing that happened."""

    token: bytes
    file: IO[str]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def note(self, kind: str, text: str = "") -> None:
        self.file.write(json.dumps([time.time(), kind, text]) + "\n")
        self.file.flush()

    def start(self, config: dict[str, Any]) -> None:
        ways = [self._udp(address, port) for address, port in config["udp"]]
        ways += [self._tcp(str(number), *end) for number, end in enumerate(config["tcp"])]
        self.tasks = [asyncio.create_task(way) for way in ways]

    async def _udp(self, address: str, port: int) -> None:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(("", 0))
        while True:
            for send in (lambda: sock.sendto(self.token, (address, port)), lambda: self._answers(sock)):
                try:
                    send()
                except OSError:  # refused, which an ICMP error says late; or no answer yet
                    pass
            await asyncio.sleep(PAUSE)

    def _answers(self, sock: socket.socket) -> None:
        while True:
            self.note("answer", sock.recv(65535).split()[1].decode())

    async def _tcp(self, number: str, address: str, port: int) -> None:
        while True:
            try:
                async with asyncio.timeout(PATIENCE):
                    _reader, writer = await asyncio.open_connection(address, port)
                self.note("opened", number)
                await self._pour(number, writer)
            except (OSError, TimeoutError):
                await asyncio.sleep(PAUSE)

    async def _pour(self, number: str, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(self.token)
                await writer.drain()
                await asyncio.sleep(PAUSE)
        finally:
            self.note("cut", number)
            writer.transport.abort()


async def run(config: dict[str, Any]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with open(config["file"], "w", encoding="ascii") as file:
        flows = Flows(config["token"].encode(), file)
        flows.start(config)
        await stop.wait()
        file.flush()
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
