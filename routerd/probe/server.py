"""Why a transport's server cannot be reached: the same stages and the same words, for its own address and port.

The experiment goes out as the transport's own packets do; the control goes through the other transports. What another
one cannot reach either is dead for everyone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from routerd.model import mark
from routerd.probe.examine import DIRECT, Around, Naming, Notes, carries, look_at_line
from routerd.probe.stages import Seen, connect, handshake, held, quic

DIAL = 6.0  # seconds after which the engines give up to connect


@dataclass(frozen=True, slots=True)
class Server:
    """`name`: what its TLS shows, if it speaks TLS."""

    address: str
    port: int
    proto: str
    name: str = ""


async def cause_of(server: Server, around: Around, *, line: bool) -> Notes:
    """`around.exits` are the other transports. `line`: whether the references may be tried directly, too."""
    notes = Notes({"subject": "server", "line": around.line})
    if around.line != "up" or around.direct is None:
        return notes
    names = Naming("", around)
    await names.ask(notes)
    cover = next(iter(names.reference_hosts()), "")
    tasks = [_direct(server, mark(around.direct.slot), cover, notes), _control(server, around, names, notes)]
    await asyncio.gather(*tasks, *([look_at_line(around, around.direct, names, notes)] if line else []))
    return notes


async def _direct(server: Server, sent: int, cover: str, notes: Notes) -> None:
    if server.proto == "udp":
        tcp, udp = connect(server.address, server.port, sent), quic(server.address, server.port, sent)
        notes.add("udp", "quic", DIRECT, await udp)
        notes.add("tcp", "tcp", DIRECT, await tcp)
        return
    if not notes.add("tcp", "tcp", DIRECT, await connect(server.address, server.port, sent)).ok or not server.name:
        return
    for field, stage, name in (("cover", "tls, other name", cover), ("tls", "tls", server.name)):
        if name:
            seen = await handshake(server.address, server.port, sent, name, verify=False)
            notes.add(field, stage, DIRECT, seen)


async def _control(server: Server, around: Around, names: Naming, notes: Notes) -> None:
    seen = await asyncio.gather(*(_reaches(server, mark(way.slot)) for way in around.exits))
    for way, one in zip(around.exits, seen, strict=True):
        notes.show("server", way.name, one)
    if any(one.ok for one in seen):
        notes.words["opens"] = "ok"
    elif await carries(around, names.references):
        notes.words["opens"] = "failed"


async def _reaches(server: Server, sent: int) -> Seen:
    if server.proto == "udp":
        return await quic(server.address, server.port, sent)
    if server.name:
        return await handshake(server.address, server.port, sent, server.name, verify=False)
    return await held(server.address, server.port, sent, DIAL)
