"""Whether an exit carries UDP: a question of DNS to a well-known resolver, over the household's path.

Behind the exit, where it says no more than that somebody there asks for a probe target.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import dns.message

from routerd.model import mark
from routerd.table import is_address

ASKED_AT = (0.0, 0.4, 1.0)  # seconds; UDP may lose a packet
PATIENCE = 2.0


async def carries(slot: int, resolvers: Sequence[str], name: str) -> bool:
    """Whether any of `resolvers` (addresses) answers through `slot`."""
    host = name if not is_address(name) else "example.com"
    asked = [asyncio.create_task(_ask(slot, address, host)) for address in resolvers]
    try:
        return any([await done for done in asyncio.as_completed(asked)])
    finally:
        for task in asked:
            task.cancel()


async def _ask(slot: int, address: str, host: str) -> bool:
    query = dns.message.make_query(host, "A").to_wire()
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark(slot))
            sock.connect((address, 53))
            async with asyncio.timeout(PATIENCE):
                sending = asyncio.create_task(_send(sock, query))
                try:
                    return (await loop.sock_recv(sock, 4096))[:2] == query[:2]
                finally:
                    sending.cancel()
        except (OSError, TimeoutError):
            return False


async def _send(sock: socket.socket, query: bytes) -> None:
    before = 0.0
    for at in ASKED_AT:
        await asyncio.sleep(at - before)
        before = at
        await asyncio.get_running_loop().sock_sendall(sock, query)
