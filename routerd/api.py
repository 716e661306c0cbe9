"""HTTP and JSON on the Unix socket: the only way in for the web page and routerctl. docs/api.md describes it,
and for programs data/openapi.json, which it gives itself.

Who may ask is decided by the socket's mode (0660 root:clearway) and by the peer's credentials.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import grp
import json
import os
import re
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import h11

from routerd.answers import ROUTES
from routerd.answers.asked import ApiError, Body, wanted
from routerd.bending import NoDesync, searched
from routerd.daemon import Daemon
from routerd.host.asking import Unheard

GROUP = "clearway"
BY_ITSELF = ("/openapi.json", "/events", "/desync/search")  # those that ROUTES does not have
DOCUMENT = Path(__file__).parent / "data" / "openapi.json"
_SO_PEERGROUPS = 59  # asm-generic/socket.h
BODY_LIMIT, CONNECTIONS, PATIENCE, HEARTBEAT = 1 << 21, 64, 10.0, 15.0  # the first: a list of links that is imported


async def serve(daemon: Daemon, path: Path) -> asyncio.Server:
    """Listens on `path`. The caller holds the lock that makes us the only daemon here, so a left-over goes."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    slots = asyncio.Semaphore(CONNECTIONS)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with slots:
                await _converse(daemon, reader, writer)
        except (OSError, h11.ProtocolError, TimeoutError):
            pass  # the asker went away, or was none
        finally:
            writer.close()

    old = os.umask(0o117)
    try:
        server = await asyncio.start_unix_server(connected, path)
    finally:
        os.umask(old)
    with contextlib.suppress(KeyError, PermissionError):
        os.chown(path, -1, grp.getgrnam(GROUP).gr_gid)
    return server


async def _converse(daemon: Daemon, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 14)
    async with asyncio.timeout(PATIENCE):
        request, body = await _receive(connection, reader)
    try:
        _authorise(writer.get_extra_info("socket"))
        path = urlsplit(request.target.decode("ascii", "replace")).path
        if (request.method, path) == (b"GET", "/events"):
            await _stream(connection, writer, _changes(daemon))
            return
        if (request.method, path) == (b"POST", "/desync/search"):
            await _stream(connection, writer, await _begun(_search(daemon, _json(body))))
            return
        if (request.method, path) == (b"GET", "/openapi.json"):
            await _whole(connection, writer, 200, DOCUMENT.read_bytes())
            return
        status, answer = await _dispatch(daemon, request.method.decode(), path, body)
    except ApiError as e:
        status, answer = e.status, {"error": {"code": e.code, "message": str(e)}}
    await _whole(connection, writer, status, json.dumps(answer, ensure_ascii=False).encode())


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[h11.Request, bytes]:
    request: h11.Request | None = None
    body = b""
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(1 << 14))
            case h11.Request() as found:
                request = found
            case h11.Data(data=data):
                body += data
                if len(body) > BODY_LIMIT:
                    raise ConnectionError("body too large")
            case h11.EndOfMessage() if request is not None:
                return request, body
            case _:
                raise ConnectionError("closed")


def _authorise(sock: socket.socket) -> None:
    """root, ourselves, or a member of the group (which the socket's mode has let in already)."""
    _pid, uid, gid = struct.unpack("=iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid in (0, os.geteuid()):
        return
    more = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4096)
    with contextlib.suppress(KeyError):
        if grp.getgrnam(GROUP).gr_gid in (gid, *struct.unpack(f"={len(more) // 4}I", more)):
            return
    raise ApiError(403, "forbidden", "only root and the group clearway may ask")


async def _dispatch(daemon: Daemon, method: str, path: str, raw: bytes) -> tuple[int, Body]:
    found = path in BY_ITSELF
    for verb, pattern, handler in ROUTES:
        if match := re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern), path):
            found = True
            if verb == method:
                names = {key: unquote(value) for key, value in match.groupdict().items()}
                return await handler(daemon, names, _json(raw))
    raise (
        ApiError(405, "method", f"{method} is not possible here")
        if found
        else ApiError(404, "path", "there is nothing here")
    )


def _json(raw: bytes) -> Body:
    try:
        body = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as e:
        raise ApiError(400, "json", "the body is not JSON") from e
    if not isinstance(body, dict):
        raise ApiError(400, "json", "the body must be a JSON object")
    return body


async def _whole(connection: h11.Connection, writer: asyncio.StreamWriter, status: int, data: bytes) -> None:
    """An answer in JSON."""
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data))), ("Connection", "close")]
    for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=data), h11.EndOfMessage()):
        writer.write(connection.send(event) or b"")
    await writer.drain()


async def _stream(connection: h11.Connection, writer: asyncio.StreamWriter, texts: AsyncIterator[str]) -> None:
    """Server-sent events."""
    headers = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")]
    writer.write(connection.send(h11.Response(status_code=200, headers=headers)) or b"")
    async for text in texts:
        writer.write(connection.send(h11.Data(data=text.encode())) or b"")
        async with asyncio.timeout(PATIENCE):
            await writer.drain()


async def _begun(texts: AsyncIterator[str]) -> AsyncIterator[str]:
    """With its first one there: until then it may be refused, as an answer is."""
    first = await anext(texts)

    async def whole() -> AsyncIterator[str]:
        yield first
        async for text in texts:
            yield text

    return whole()


async def _search(daemon: Daemon, body: Body) -> AsyncIterator[str]:
    """Each try as it ends, and the end."""
    try:
        async for line in searched(daemon, wanted(body, "host"), http=body.get("http") is True):
            kind = "done" if line.get("done") else "progress"
            yield f"event: {kind}\ndata: {json.dumps(line)}\n\n"
    except ValueError as e:
        raise ApiError(400, "host", f"host: {e}") from e
    except NoDesync as e:
        raise ApiError(
            409, "no_desync", "no desync transport runs; add one: routerctl transport add desync://auto"
        ) from e
    except Unheard as e:
        raise ApiError(504, "unheard", "the desync worker does not answer; try again") from e


async def _changes(daemon: Daemon) -> AsyncIterator[str]:
    """Status at once and on each change, and the journal's new lines."""
    changed = asyncio.Event()
    daemon.listeners.add(changed.set)
    last, lines = "", list(daemon.journal)
    try:
        while True:
            status = json.dumps(dataclasses.asdict(daemon.status()), ensure_ascii=False)
            fresh = [line for line in daemon.journal if line not in lines]
            lines = list(daemon.journal)
            if status != last:
                yield f"event: status\ndata: {status}\n\n"
            for line in fresh:
                yield f"event: journal\ndata: {json.dumps(dataclasses.asdict(line), ensure_ascii=False)}\n\n"
            last = status
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await changed.wait()
            except TimeoutError:
                yield ": still here\n\n"
            changed.clear()
    finally:
        daemon.listeners.discard(changed.set)
