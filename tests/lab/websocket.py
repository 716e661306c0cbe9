"""The server's side of a WebSocket (RFC 6455), as far as a stream of bytes needs it: binary messages in any pieces."""

import asyncio
import base64
import hashlib
import re
import struct

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE, PING, PONG = 0x2, 0x8, 0x9, 0xA


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the client's request. ValueError where it is none for a WebSocket."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = re.search(rb"^sec-websocket-key: *(\S+)", head, re.IGNORECASE | re.MULTILINE)
    if not key:
        raise ValueError("no WebSocket's request")
    proof = base64.b64encode(hashlib.sha1(key[1] + MAGIC).digest())
    upgraded = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    writer.write(upgraded + b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n")


async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The next bytes of the stream. EOFError at its end."""
    while True:
        kind, payload = await _frame(reader)
        if kind == CLOSE:
            raise EOFError
        if kind == PING:
            writer.write(frame(payload, PONG))
        elif kind != PONG and payload:
            return payload


async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length > 125:
        form = ">H" if length == 126 else ">Q"
        (length,) = struct.unpack(form, await reader.readexactly(struct.calcsize(form)))
    mask = await reader.readexactly(4)  # a client's are always masked
    data = await reader.readexactly(length)
    pattern = int.from_bytes((mask * (length // 4 + 1))[:length])
    return first & 0x0F, (int.from_bytes(data) ^ pattern).to_bytes(length)


def frame(data: bytes, kind: int = BINARY) -> bytes:
    if len(data) < 126:
        return bytes([0x80 | kind, len(data)]) + data
    return bytes([0x80 | kind, 126]) + struct.pack(">H", len(data)) + data
