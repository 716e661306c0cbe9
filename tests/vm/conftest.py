"""The same lab on an emulated machine: everything takes several times as long, so every wait may."""

import os
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.lab import Lab, box, capture, household, lab, net, servers

SLOWER = 5
collect_ignore = [] if "CLOCK_KERNEL" in os.environ else ["test_clock.py"]  # it has a guest of its own


def _patient(condition: Callable[[], bool], seconds: float, what: str, step: float = 0.01) -> None:
    net_wait_until(condition, seconds * SLOWER, what, max(step, 0.05))


net_wait_until = net.wait_until
for module in (box, capture, household, lab, net, servers):
    assert module.__name__ in sys.modules
    module.wait_until = _patient  # type: ignore[attr-defined]


@pytest.fixture(scope="module", name="lab")
def _lab() -> Iterator[Lab]:
    with Lab.up(["wireguard", "ss2022", "trojan"]) as made:
        yield made
