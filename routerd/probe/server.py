"""Why a transport's server cannot be reached: the same stages and the same words, for its own address and port.

The experiment goes out as the transport's own packets do; the control goes through the other transports. What another
one cannot reach either is dead for everyone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from routerd.model import mark
from routerd.probe.around import DIRECT, Around, Naming, Notes
from routerd.probe.examine import carries, look_at_line
from routerd.probe.stages import Seen, connect, handshake, held, quic

DIAL = 6.0  # seconds after which the engines give up to connect


@dataclass(frozen=True, slots=True)
class Server:
    """`name`: what its TLS shows, if it speaks TLS. `mute`: it never answers a stranger, so silence says nothing."""

    address: str
    port: int
    proto: str
    name: str = ""
    mute: bool = False


async def cause_of(server: Server, around: Around, *, free: bool) -> Notes:
    """`around.exits` are the other transports.

    `free`: the mark may go anywhere, as a diagnosis may. Else to the server's own port alone, as an upstream's does:
    what the ruleset drops would look like a censor's silence.
    """
    notes = Notes({"subject": "server", "line": around.line})
    if around.line != "up" or around.direct is None or server.mute:
        return notes
    names = Naming("", around if free else replace(around, direct=None))
    await names.ask(notes)
    cover = next(iter(names.reference_hosts()), "")
    tasks = [_direct(server, mark(around.direct.slot), cover, free, notes), _control(server, around, names, notes)]
    await asyncio.gather(*tasks, *([look_at_line(around, around.direct, names, notes)] if free else []))
    return notes


async def _direct(server: Server, sent: int, cover: str, free: bool, notes: Notes) -> None:
    if server.proto == "udp":
        notes.add("udp", "quic", DIRECT, await quic(server.address, server.port, sent))
        if free:
            notes.add("tcp", "tcp", DIRECT, await connect(server.address, server.port, sent))
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
