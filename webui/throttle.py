"""How many secrets may be guessed a minute: few for each peer, twenty for all together.

A phone that has signed in before has a lane of its own, so that somebody who
hammers the page from the couch cannot keep the owner out.
"""

import threading
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 60.0
STRANGERS = 14
EACH_PEER = 5
KNOWN = 6  # strangers and known devices together: 20 a minute


class Throttle:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._guesses: deque[tuple[float, str, bool]] = deque()

    def admit(self, peer: str, known: bool) -> bool:
        """Counts the guess if it may be made. A refused one costs nothing, or it would lock for ever."""
        now = self._clock()
        with self._lock:
            while self._guesses and now - self._guesses[0][0] >= WINDOW_SECONDS:
                self._guesses.popleft()
            lane = [where for _, where, familiar in self._guesses if familiar == known]
            if len(lane) >= (KNOWN if known else STRANGERS) or lane.count(peer) >= EACH_PEER:
                return False
            self._guesses.append((now, peer, known))
            return True
