"""Each golden ruleset, loaded into a real kernel twice over itself and read back."""

from pathlib import Path

import pytest

from routerd.host.nft import Nft, outline
from routerd.render.guard import GUARD
from routerd.render.policy import POLICY
from tests.golden.cases import FILES, HERE
from tests.host.namespace import alone, household


@pytest.mark.parametrize("file", FILES, ids=[str(f.relative_to(HERE)) for f in FILES])
@alone
def test_the_kernel_takes_it_twice_and_holds_what_was_said(file: Path) -> None:
    household()
    nft, text = Nft(), file.read_text()
    guard, policy = text.split("add table", 1)
    policy = "add table" + policy
    nft.check(text)
    assert not nft.listing(POLICY)
    nft.run(guard + policy)
    nft.run(policy)
    assert outline(nft.listing(GUARD)) == outline(guard)
    assert outline(nft.listing(POLICY)) == outline(policy)


@alone
def test_any_golden_ruleset_may_follow_any_other() -> None:
    household()
    nft = Nft()
    for file in (*FILES, *reversed(FILES)):
        policy = "add table" + file.read_text().split("add table", 1)[1]
        nft.run(policy)
        assert {c: r for c, r in outline(nft.listing(POLICY)).items() if r} == outline(policy)
