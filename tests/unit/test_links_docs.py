"""Every example of docs/links.md becomes what the page says it becomes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from routerd.links import WRITERS
from routerd.links.bulk import read_all
from routerd.transports import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "links.md").read_text()
ROWS = re.findall(r"^\| [^|]+ \| `([^`]+)` \| (\w+) \|$", PAGE, re.MULTILINE)
BLOCKS = re.findall(r"^```becomes ([^\n]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def becomes(text: str) -> list[str]:
    """Kinds in the order of the page: what is rejected comes last."""
    found = read_all(text)
    refused = ["subscription" if each.subscription else "refused" for each in found.rejected]
    return [named.transport.kind for named in found.transports] + refused


@pytest.mark.parametrize(("example", "kind"), ROWS)
def test_an_example_in_the_table_becomes_what_it_says(example: str, kind: str) -> None:
    assert becomes(example) == [kind]
    assert kind in (*KINDS, "subscription", "refused")


@pytest.mark.parametrize(("kinds", "example"), BLOCKS)
def test_an_example_of_several_lines_becomes_what_it_says(kinds: str, example: str) -> None:
    """`X or refused`: a kind that may not be there."""
    wanted = kinds.removesuffix(" or refused")
    assert becomes(example) == wanted.split(", ") or (wanted != kinds and becomes(example) == ["refused"])


def test_the_page_has_an_example_of_every_kind_that_a_link_can_hold() -> None:
    shown = {kind for _, kind in ROWS} | {kind for kinds, _ in BLOCKS for kind in re.findall(r"\w+", kinds)}
    assert set(WRITERS) <= shown
