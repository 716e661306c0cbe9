"""What is remembered over a restart, on a real folder."""

from pathlib import Path

import pytest

from routerd.memory import Memory
from routerd.model import State


def test_what_carried_the_household_outlives_a_restart(tmp_path: Path) -> None:
    Memory(tmp_path).keep(State(carried=("home", "تهران")))
    assert Memory(tmp_path).recall().carried == ("home", "تهران")


@pytest.mark.parametrize("content", [b"", b"{}", b"[1, 2]", b"\xff", b"[" * 100_000, b'["a"'])
def test_a_broken_memory_is_no_memory(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "carried.json").write_bytes(content)
    assert Memory(tmp_path).recall() == State()
