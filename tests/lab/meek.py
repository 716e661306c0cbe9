"""A small server of the meek protocol (Tor's meek, doc/meek-server.1): what Debian has no package of. The client is real.

A POST carries bytes up, its answer bytes down, at most 64 KiB each; X-Session-Id says which connection to the bridge they
belong to. The client asks again and again; it has to, as nothing can come down unasked.
"""

import contextlib
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from email.message import Message

MOST = 0x10000
TURNAROUND = 0.02  # seconds to wait for the bridge's answer to what was just sent up
IDLE = 120.0  # seconds after which a session that nobody asks for is over


@dataclass(slots=True)
class Session:
    """One connection to the bridge. `lock`: a client may ask again before it has the last answer."""

    sock: socket.socket
    lock: threading.Lock = field(default_factory=threading.Lock)
    used: float = field(default_factory=time.monotonic)

    def turn(self, up: bytes) -> bytes:
        """What came down meanwhile. OSError where the connection is over."""
        with self.lock:
            self.used = time.monotonic()
            self.sock.sendall(up)
            down = bytearray()
            while len(down) < MOST and select.select([self.sock], [], [], 0 if down else TURNAROUND)[0]:
                got = self.sock.recv(MOST - len(down))
                if not got and not down:
                    raise ConnectionResetError
                if not got:
                    break
                down += got
            return bytes(down)


@dataclass(slots=True)
class Meek:
    """`bridge`: address and port of its ORPort."""

    bridge: tuple[str, int]
    sessions: dict[str, Session] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, path: str, headers: Message, up: bytes) -> tuple[int, bytes]:
        """A POST's answer; 500 where its session is over."""
        name = headers.get("X-Session-Id", "")
        try:
            return 200, self._session(name).turn(up)
        except OSError:
            self._end(name)
            return 500, b""

    def _session(self, name: str) -> Session:
        with self.lock:
            for old in [key for key, one in self.sessions.items() if time.monotonic() - one.used > IDLE]:
                self.sessions.pop(old).sock.close()
            if name not in self.sessions:
                self.sessions[name] = Session(socket.create_connection(self.bridge, 5))
            return self.sessions[name]

    def _end(self, name: str) -> None:
        with self.lock, contextlib.suppress(KeyError):
            self.sessions.pop(name).sock.close()
