"""Where a probe looks for its target while there is a doubt."""

import asyncio
from dataclasses import replace

import pytest

from routerd.model import Probe
from routerd.probe.https import ProbeError
from routerd.probe.names import Names

TARGET = "https://site.example/"
PROBE = Probe("a", 1, (TARGET,), 0, 1.0)  # without a resolver: whatever is asked fails


def test_while_look_ups_hang_it_looks_where_the_site_has_proved_to_be() -> None:
    names = Names()
    names.shown(TARGET, "198.51.100.1")
    assert asyncio.run(names.address(replace(PROBE, sign="stalled"), TARGET, 1.0)) == "198.51.100.1"


@pytest.mark.parametrize("sign", [None, "forged"])
def test_what_is_not_in_doubt_and_what_names_are_doubted_for_is_asked(sign: str | None) -> None:
    names = Names()
    names.shown(TARGET, "198.51.100.1")
    with pytest.raises(ProbeError):
        asyncio.run(names.address(replace(PROBE, sign=sign), TARGET, 1.0))  # type: ignore[arg-type]
