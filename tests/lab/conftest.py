"""One lab for each test file, and a plain router for tests that want one."""

from collections.abc import Iterator

import pytest

from tests.lab import Lab, plain_router


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up() as made:
        yield made


@pytest.fixture
def plain(lab: Lab) -> Iterator[Lab]:
    """The lab with a router that only forwards, and the censor at rest."""
    with plain_router(lab):
        yield lab
    lab.censor.clear()
