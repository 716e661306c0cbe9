"""What the views work with, one object in the Flask app."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from flask import current_app

from webui.daemon import Daemon
from webui.hub import Hub
from webui.owner import Owner
from webui.sessions import Sessions
from webui.throttle import Throttle

SETUP_SECONDS = 30 * 60


@dataclass(frozen=True, slots=True)
class Parts:
    daemon: Daemon
    owner: Owner
    sessions: Sessions
    throttle: Throttle
    hub: Hub
    names: frozenset[str]
    clock: Callable[[], float]
    began: float
    form_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def setup_is_open(self) -> bool:
        """Setup closes by itself: an untouched box must not wait for ever for the wrong person."""
        return self.clock() - self.began < SETUP_SECONDS


def make(
    socket_path: str, state_dir: Path, names: frozenset[str], clock: Callable[[], float] = time.monotonic
) -> Parts:
    daemon = Daemon(socket_path)
    return Parts(
        daemon=daemon,
        owner=Owner(state_dir),
        sessions=Sessions(clock),
        throttle=Throttle(clock),
        hub=Hub(daemon),
        names=names,
        clock=clock,
        began=clock(),
    )


def parts() -> Parts:
    found = current_app.extensions["parts"]
    assert isinstance(found, Parts)
    return found
