"""One lab for each test file (with the servers that its SERVERS names), the product on its router, or a plain router."""

from collections.abc import Iterator

import pytest

from tests.lab import Lab, plain_router, webtunnel
from tests.lab.box import Box
from tests.lab.fault import SETS, home
from tests.lab.tunnels import MAYBE, missing


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(kind): one of tunnels.MAYBE, or webtunnel")


def lacking() -> dict[str, str]:
    """What cannot be tried on this machine, and why."""
    kinds = {kind: missing(kind) for kind in MAYBE} | {"webtunnel": webtunnel.missing()}
    return {kind: why for kind, why in kinds.items() if why}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Not skipped, which would fail the stage: what is left out is named at the end."""
    gone = lacking()
    out = [item for item in items if any(mark.args[0] in gone for mark in item.iter_markers("needs"))]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """tools/stage.sh says it again at the end of its stage."""
    for kind, why in lacking().items():
        terminalreporter.write_line(f"LEFT OUT: the server of {kind}: {why}")


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(getattr(request.module, "SERVERS", ())) as made:
        yield made


@pytest.fixture
def plain(lab: Lab) -> Iterator[Lab]:
    """The lab with a router that only forwards, and the censor at rest."""
    with plain_router(lab):
        yield lab
    lab.censor.clear()


@pytest.fixture
def proxy(lab: Lab) -> Iterator[Box]:
    with home(lab, SETS["proxy"]) as box:
        yield box


@pytest.fixture(params=SETS)
def box(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Box]:
    """Once with a proxy active (forwarding off), once with a link (forwarding on)."""
    with home(lab, SETS[request.param]) as box:
        yield box
