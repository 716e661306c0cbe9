"""Settings in, ruleset out. After a change that is meant: REGOLD=1 rewrites the files; read the difference."""

import os
import re
from pathlib import Path

import pytest

from tests.golden.cases import CASES, FILES, HERE, ruleset

NAMES = [str(file.relative_to(HERE)) for file in FILES]
DIRECT = "the owner said direct"


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_the_ruleset_is_the_golden_one(file: Path) -> None:
    if os.environ.get("REGOLD"):
        file.write_text(ruleset(file))
    assert ruleset(file) == file.read_text()


@pytest.mark.parametrize("case", CASES)
def test_every_case_says_what_it_is_for(case: str) -> None:
    assert (HERE / case / "purpose.txt").read_text().strip()


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_every_rule_says_why_and_every_filter_ends_in_drop(file: Path) -> None:
    chain: list[str] = []
    for line in map(str.strip, ruleset(file).splitlines()):
        if line.endswith("{"):
            chain = []
        elif line == "}":
            if chain and "type filter" in chain[0]:
                assert "policy drop" in chain[0]
                assert chain[-1].startswith("drop ")
        elif line.startswith(("flush", "add table")):
            continue
        else:
            chain.append(line)
            if not line.startswith("type "):
                assert 'comment "clearway: ' in line


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_after_every_tproxy_stands_a_refusal(file: Path) -> None:
    for chain in re.findall(r"chain into_\d+ \{\n(.*?)\n  \}", ruleset(file), re.DOTALL):
        assert chain.splitlines()[-1].strip().startswith("goto refuse")
    assert ruleset(file).count("chain into_") == len(re.findall(r"chain exit_\d+", ruleset(file)))


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_no_room_of_a_filter_has_an_open_end(file: Path) -> None:
    """A room that is entered by `goto` does not come back to its base chain's explicit drop."""
    text = ruleset(file).split("\nflush chain")[0]
    rooms = re.findall(r"chain (\w+) \{\n(?!    type )(.*?)\n?  \}", text, re.DOTALL)
    for name, rules in rooms:
        if name in ("choose", "own_choose") or name.startswith("fit_"):
            continue  # filled by the switch; entered by `jump`
        last = rules.splitlines()[-1].strip().split(" comment ")[0]
        assert last in ("drop", "accept") or last.startswith("goto "), (name, last)


def test_a_diagnosis_adds_the_boxs_own_marked_packets_and_their_answers_and_no_more() -> None:
    usual, during = ((HERE / "proxies" / f"{phase}.nft").read_text().splitlines() for phase in ("open", "diagnosing"))
    added = [line.strip().split(" comment ")[0] for line in during if line not in usual]
    assert [line for line in usual if line not in during] == []
    asked = "meta l4proto { tcp, udp } meta mark and 0xff000000 == 0x72000000"
    assert added == [
        *["ct mark and 0x7f000000 == 0x72000000 accept"] * 2,
        f"{asked} ct mark set ct mark and 0x00ffffff or 0xf2000000 accept",
    ]


@pytest.mark.parametrize("case", CASES)
def test_only_the_owners_word_lets_anything_go_direct(case: str) -> None:
    for phase in ("closed", "switching", "open", "blocked"):
        text = ruleset(HERE / case / f"{phase}.nft")
        policy = text[text.index("add table inet clearway\n") :]
        opened = "goto exit_direct" in policy.split("flush chain inet clearway choose")[1]
        assert opened == (case == "direct-on-failure" and phase == "blocked")
        assert (DIRECT in policy) == (case == "direct-on-failure" and phase != "closed")
