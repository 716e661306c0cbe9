"""The same lab on an emulated machine: run.sh sets CLEARWAY_LAB_PATIENCE, because everything takes several times as long."""

from collections.abc import Iterator

import pytest

from tests.lab import Lab


@pytest.fixture(scope="module", name="lab")
def _lab() -> Iterator[Lab]:
    with Lab.up(["wireguard", "ss2022", "trojan"]) as made:
        yield made
