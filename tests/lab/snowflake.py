"""The far end of snowflake in the lab: a volunteer, who is Debian's snowflake-proxy, and behind it a server of ours.

No package has the server (the "turbotunnel": over WebSockets, encapsulated packets of a KCP conversation, and in it smux), nor the
broker (broker.py). As a program: `snowflake ADDRESS PORT`, the bridge's; it answers STUN as well.
"""

import asyncio
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from . import websocket
from .front import NAME as FRONT
from .kcp import Kcp, conversation
from .net import Host, Net, wait_until
from .smux import Smux
from .topology import server_host

SERVER, VOLUNTEER = 43, 44
SERVER4, SERVER_PORT, STUN_PORT = f"203.0.113.{SERVER}", 8080, 3478
STUN = "stun.servers.example"
VOLUNTEER4, VOLUNTEER6 = f"203.0.113.{VOLUNTEER}", f"2001:db8:113::{VOLUNTEER}"
TOKEN = bytes.fromhex("1293605d278175f5")
NAME_LENGTH = 8  # of a client's own name
TICK = 0.1  # seconds between looks at what is to be sent again
BACKLOG = 1 << 18  # bytes that may wait to be sent
COOKIE = 0x2112A442


def start_snowflake(net: Net, bridge: tuple[str, int]) -> Host:
    """The volunteer's machine, whose log says how many clients it has."""
    server = server_host(net, "snowflake-server", SERVER)
    server.module("snowflake", bridge[0], str(bridge[1]))
    wait_until(lambda: server.listens("tcp", SERVER_PORT) and server.listens("udp", STUN_PORT), 10, "the server listens")
    volunteer = server_host(net, "volunteer", VOLUNTEER)
    relay = f"ws://{SERVER4}:{SERVER_PORT}/"
    argv = ["-broker", f"https://{FRONT}/", "-relay", relay, "-allow-non-tls-relay", "-allowed-relay-hostname-pattern", "$"]
    volunteer.popen(["snowflake-proxy", *argv, "-stun", f"stun:{STUN}:{STUN_PORT}", "-verbose"], log="snowflake-proxy")
    return volunteer


@dataclass(slots=True)
class Client:
    """One conversation. `through`: the WebSocket that it was last heard in."""

    kcp: Kcp
    through: asyncio.StreamWriter
    smux: Smux = field(init=False)
    drained: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, packet: bytes) -> None:
        self.smux.take(self.kcp.take(packet))
        self.flush()

    def send(self, data: bytes) -> None:
        self.kcp.unsent += data
        self.flush()

    def flush(self) -> None:
        if not self.through.is_closing():
            for packet in self.kcp.packets(time.monotonic()):
                self.through.write(websocket.frame(encapsulated(packet)))
        self.drained.set()

    async def room(self) -> None:
        while len(self.kcp.unsent) > BACKLOG:
            self.drained.clear()
            await self.drained.wait()


@dataclass(slots=True)
class Server:
    """`clients`: by the client's own name and the number of its conversation."""

    bridge: tuple[str, int]
    clients: dict[tuple[bytes, int], Client] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await websocket.accept(reader, writer)
            await self._read(reader, writer)
        except (EOFError, OSError, ValueError):
            pass  # a volunteer left, or had no client yet
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = bytearray()
        while len(data) < len(TOKEN) + NAME_LENGTH:
            data += await websocket.read(reader, writer)
        if not data.startswith(TOKEN):
            raise ValueError("not a client of this time")
        name = bytes(data[len(TOKEN) : len(TOKEN) + NAME_LENGTH])
        del data[: len(TOKEN) + NAME_LENGTH]
        while True:
            for packet in packets(data):
                self._client(name, packet, writer).take(packet)
            data += await websocket.read(reader, writer)

    def _client(self, name: bytes, packet: bytes, writer: asyncio.StreamWriter) -> Client:
        number = conversation(packet)
        if (name, number) not in self.clients:
            client = self.clients[name, number] = Client(Kcp(number), writer)
            client.smux = Smux(self.bridge, client.send, client.room)
        self.clients[name, number].through = writer
        return self.clients[name, number]

    async def tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            for client in self.clients.values():
                client.flush()


def packets(data: bytearray) -> Iterator[bytes]:
    """Takes the whole ones out of `data`: a length in one to three bytes, the first of which also says whether it is padding."""
    while data:
        length, size = data[0] & 0x3F, 1
        more = bool(data[0] & 0x40)
        while more and size < len(data):
            length, more = length << 7 | data[size] & 0x7F, bool(data[size] & 0x80)
            size += 1
        if more or len(data) < size + length:
            return
        is_data, packet = bool(data[0] & 0x80), bytes(data[size : size + length])
        del data[: size + length]
        if is_data:
            yield packet


def encapsulated(packet: bytes) -> bytes:
    length = len(packet)
    return (bytes([0x80 | length]) if length < 64 else bytes([0xC0 | length >> 7, length & 0x7F])) + packet


class Stun(asyncio.DatagramProtocol):
    """Says to each who asks from where (RFC 8489: XOR-MAPPED-ADDRESS). IPv4."""

    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # Python 3.11's is none by its class

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        if len(data) < 20 or data[:2] != b"\x00\x01":
            return
        (address,) = struct.unpack(">I", socket.inet_aton(peer[0]))
        mapped = struct.pack(">HHBBHI", 0x0020, 8, 0, 1, peer[1] ^ COOKIE >> 16, address ^ COOKIE)
        self.transport.sendto(struct.pack(">HH", 0x0101, len(mapped)) + data[4:20] + mapped, peer)


async def main() -> None:
    server = Server((sys.argv[1], int(sys.argv[2])))
    await asyncio.get_running_loop().create_datagram_endpoint(Stun, local_addr=(SERVER4, STUN_PORT))
    await asyncio.start_server(server.serve, SERVER4, SERVER_PORT)
    await server.tick()


if __name__ == "__main__":
    asyncio.run(main())
