"""Sessions, kept here and nowhere else: a restart of the process ends them all.

The browser holds a random token; this side holds its SHA-256. Looking at the live
stream does not count as use, so a forgotten tab is signed out like any other.
"""

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

IDLE_SECONDS = 30 * 60
ABSOLUTE_SECONDS = 12 * 3600
MOST = 32


@dataclass(slots=True)
class Session:
    key: bytes
    csrf: str
    began: float
    used: float
    notice: tuple[str, str] | None = None  # one sentence for the next page: (ok|error, text)

    def alive(self, now: float) -> bool:
        return now - self.used < IDLE_SECONDS and now - self.began < ABSOLUTE_SECONDS


class Sessions:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[bytes, Session] = {}

    def start(self) -> str:
        """A new session; the token is for the cookie. The least used one goes when there are too many."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        session = Session(_key(token), secrets.token_urlsafe(32), now, now)
        with self._lock:
            self._sweep(now)
            if len(self._open) >= MOST:
                del self._open[min(self._open.values(), key=lambda each: each.used).key]
            self._open[session.key] = session
        return token

    def find(self, token: str, touch: bool) -> Session | None:
        now = self._clock()
        with self._lock:
            self._sweep(now)
            session = self._open.get(_key(token))
            if session and touch:
                session.used = now
        return session

    def is_alive(self, session: Session) -> bool:
        with self._lock:
            return self._open.get(session.key) is session and session.alive(self._clock())

    def end(self, session: Session) -> None:
        with self._lock:
            self._open.pop(session.key, None)

    def end_all(self) -> None:
        with self._lock:
            self._open.clear()

    def _sweep(self, now: float) -> None:
        self._open = {key: each for key, each in self._open.items() if each.alive(now)}


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
