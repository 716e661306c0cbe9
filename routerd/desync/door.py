"""The worker's door for the daemon: one JSON line in, one or several out. For root and for the worker's own user alone.

`{"do": "list"}`: for how many sites each strategy is in use. `{"do": "search", "host", "kind"}`: progress, and the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from routerd.desync.choice import Choice
from routerd.desync.flow import Ask
from routerd.desync.search import Searches

NAME = "\0clearway-desync-{}"  # of a slot; abstract, so that it is of one network and leaves no file
LONGEST = 2048  # bytes of a question


def name_of(slot: int) -> str:
    return NAME.format(slot)


class Door:
    """Goes on without a door where another program has taken its name: packets matter more than questions."""

    def __init__(self, choice: Choice, searches: Searches, slot: int, selector: selectors.BaseSelector) -> None:
        self._choice, self._searches, self._selector = choice, searches, selector
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with contextlib.suppress(OSError):
            self._socket.bind(name_of(slot))
            self._socket.listen(8)
            self._socket.setblocking(False)
            selector.register(self._socket, selectors.EVENT_READ, self._come_in)

    def _come_in(self) -> None:
        with contextlib.suppress(OSError):
            guest, _ = self._socket.accept()
            if not _allowed(guest):
                guest.close()
                return
            guest.setblocking(False)
            said = bytearray()
            self._selector.register(guest, selectors.EVENT_READ, lambda: self._hear(guest, said))

    def _hear(self, guest: socket.socket, said: bytearray) -> None:
        """A second time only to learn that the asker has gone."""
        try:
            data = guest.recv(LONGEST)
        except OSError:
            data = b""
        before = b"\n" in said
        said += data
        if not data or len(said) > LONGEST:
            self._see_out(guest)
        elif b"\n" in said and not before:
            self._answer(guest, json.loads(said.partition(b"\n")[0]))

    def _answer(self, guest: socket.socket, asked: dict[str, Any]) -> None:
        tell = self._teller(guest)
        if asked["do"] == "list":
            tell({"done": True, "known": [{"strategy": s, "sites": n} for s, n in self._choice.counts().items()]})
            return
        host = asked["host"]
        try:
            ask, address = Ask(asked["kind"], "", ip_address(host).packed), host
        except ValueError:
            ask, address = Ask(asked["kind"], host, b""), ""
        tell({"using": self._choice.using(ask), "fixed": self._choice.fixed is not None})
        self._searches.begin(ask, host, address, "silent", tell)

    def _teller(self, guest: socket.socket) -> Callable[[dict[str, Any]], None]:
        def tell(line: dict[str, Any]) -> None:
            try:
                guest.sendall(json.dumps(line).encode() + b"\n")
            except OSError:
                return

        return tell

    def _see_out(self, guest: socket.socket) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(guest)
        guest.close()


def _allowed(guest: socket.socket) -> bool:
    _, uid, _ = struct.unpack("=iII", guest.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid in (0, os.geteuid())
