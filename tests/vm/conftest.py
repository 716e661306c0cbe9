"""The same lab on an emulated machine: run.sh sets CLEARWAY_LAB_PATIENCE, because everything takes several times as long."""

import os
from collections.abc import Iterator

import pytest

from tests.lab import Lab

collect_ignore = [] if "CLOCK_KERNEL" in os.environ else ["test_clock.py"]  # it has a guest of its own


@pytest.fixture(scope="module", name="lab")
def _lab() -> Iterator[Lab]:
    with Lab.up(["wireguard", "ss2022", "trojan"]) as made:
        yield made
