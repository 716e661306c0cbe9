"""One stream from the daemon for all who watch: read while somebody watches, let go when nobody does."""

import json
import threading

from webui.daemon import Daemon, Unreachable
from webui.status import UNREACHABLE, Status, parse

MOST_WATCHERS = 8  # each holds a worker thread: keep it below server.THREADS
MOST_EACH_SESSION = 3
_RETRY_SECONDS = 2.0


class Watcher:
    """A seat. `evicted` when the same session opened newer ones: a phone that reloads leaves dead streams behind."""

    __slots__ = ("evicted", "owner", "seen")

    def __init__(self, owner: bytes) -> None:
        self.owner = owner
        self.seen = 0
        self.evicted = False


class Hub:
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._changed = threading.Condition()
        self._watchers: list[Watcher] = []
        self._reading = False
        self._status: Status | None = None
        self._version = 0

    def join(self, owner: bytes) -> Watcher | None:
        """None when all seats are taken."""
        with self._changed:
            own = [each for each in self._watchers if each.owner == owner]
            for oldest in own[: max(0, len(own) - MOST_EACH_SESSION + 1)]:
                oldest.evicted = True
                self._watchers.remove(oldest)
            if len(self._watchers) >= MOST_WATCHERS:
                return None
            watcher = Watcher(owner)
            self._watchers.append(watcher)
            if not self._reading:
                self._reading = True
                threading.Thread(target=self._read, name="events", daemon=True).start()
            self._changed.notify_all()
            return watcher

    def leave(self, watcher: Watcher) -> None:
        with self._changed:
            if watcher in self._watchers:
                self._watchers.remove(watcher)
                self._changed.notify_all()

    def wait(self, watcher: Watcher, seconds: float) -> Status | None:
        """The newest Status once there is one that this watcher has not seen, else None after `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: watcher.evicted or self._version > watcher.seen, seconds)
            if watcher.evicted or self._version == watcher.seen:
                return None
            watcher.seen = self._version
            return self._status

    def _read(self) -> None:
        while self._wanted():
            try:
                for event, data in self._daemon.events():
                    if event == "status":
                        self._tell(_status(data))
                    if not self._wanted():
                        return
            except Unreachable:
                self._tell(UNREACHABLE)
            with self._changed:
                self._changed.wait_for(lambda: not self._watchers, _RETRY_SECONDS)

    def _wanted(self) -> bool:
        """False ends the reading, decided under the lock so that a newcomer starts it again."""
        with self._changed:
            if not self._watchers and self._reading:
                self._reading = False
                self._status = None
                self._version = 0
            return self._reading

    def _tell(self, status: Status) -> None:
        with self._changed:
            if status != self._status:
                self._status = status
                self._version += 1
                self._changed.notify_all()


def _status(data: str) -> Status:
    try:
        raw: object = json.loads(data)
    except ValueError:
        raw = None
    return parse(raw) if isinstance(raw, dict) else UNREACHABLE
