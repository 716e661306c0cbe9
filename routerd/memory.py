"""What a restart must not forget: which transports carried the household last. Their names, and nothing else."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from routerd.host.disk import write
from routerd.model import State

LIMIT = 1 << 16  # bytes


@dataclass(slots=True)
class Memory:
    """A file in the state folder, written when there is something new. Unreadable, it is as if there were none."""

    folder: Path
    kept: tuple[str, ...] = ()

    @property
    def _file(self) -> Path:
        return self.folder / "carried.json"

    def recall(self) -> State:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            with self._file.open("rb") as file:
                found = json.loads(file.read(LIMIT))
            if isinstance(found, list) and all(isinstance(name, str) for name in found):
                self.kept = tuple(found)
        return State(carried=self.kept)

    def keep(self, state: State) -> None:
        if state.carried != self.kept:
            self.kept = state.carried
            with contextlib.suppress(OSError):  # a full disk must not stop the household
                write(self._file, json.dumps(self.kept, ensure_ascii=False))
