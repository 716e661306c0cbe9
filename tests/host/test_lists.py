"""A list that somebody else wrote is read by a child first, with little memory and time."""

import asyncio
import time

import pytest

from routerd.host.worker import SECONDS, WHY, tried
from routerd.subscriptions import LONGEST, Refusal

GOOD = "trojan://x@203.0.113.1:443?sni=a.example#a"


def refusal(text: str) -> str:
    with pytest.raises(Refusal) as caught:
        asyncio.run(tried(text))
    return str(caught.value)


def test_a_list_that_can_be_read_is_no_trouble() -> None:
    asyncio.run(tried(f"{GOOD}\n🌍 {GOOD}\udc80"))


def test_what_is_no_list_is_refused_with_the_reason() -> None:
    assert refusal("<html>") == "A web page came in place of a list."


@pytest.mark.parametrize(
    "text",
    ["[" + "{}," * (LONGEST // 3 - 2) + "{}]", ("ss://a\n" + "&\n" * 8) * (LONGEST // 23)],
    ids=["memory", "time"],
)
def test_fault_62_a_list_that_costs_more_than_its_share_of_time_or_memory_is_refused(text: str) -> None:
    began = time.monotonic()
    assert len(text) <= LONGEST
    assert refusal(text) == WHY
    assert time.monotonic() - began < SECONDS + 10
