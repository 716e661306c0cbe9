"""What the line's lease names as resolvers, looked at again and again: whoever takes the lease tells nobody."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address

from routerd.host.wan import LEASED, resolvers_of_provider
from routerd.model import Address, Leased

EVERY = 1.0  # seconds


class Lease:
    """`put` gets Leased when they are others than before. `files`: as `resolvers_of_provider` has them."""

    def __init__(self, put: Callable[[Leased], None], files: tuple[str, ...] = LEASED) -> None:
        self._put = put
        self._files = files
        self._known: tuple[Address, ...] = ()

    async def run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        named = tuple(ip_address(text) for text in resolvers_of_provider(self._files))
        found = tuple(address for address in named if not is_ours(address))
        if found != self._known:
            self._known = found
            self._put(Leased(found))


def is_ours(address: Address) -> bool:
    """Whether this box has it: only then can a socket be bound to it."""
    with socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((str(address), 0))
        except OSError:
            return False
    return True
