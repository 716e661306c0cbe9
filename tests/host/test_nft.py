"""libnftables in this process, and a table that nobody else can flush."""

import os
import signal

import pytest

from routerd.host.nft import Nft, NftError, OwnedTable, outline
from routerd.render.guard import GUARD, guard
from tests.host.namespace import alone, sh

TEXT = guard(None)


def loaded() -> tuple[Nft, OwnedTable]:
    nft, table = Nft(), OwnedTable(GUARD)
    table.load(nft, TEXT)
    return nft, table


@alone
def test_the_guard_is_locked_and_holds_what_was_said() -> None:
    nft, table = loaded()
    assert table.locked
    assert outline(nft.listing(GUARD)) == outline(TEXT)


@alone
def test_the_guard_survives_another_programs_flush() -> None:
    nft, table = loaded()
    sh("nft add table inet stranger")
    sh("nft flush ruleset")
    assert "stranger" not in sh("nft list tables")
    assert outline(nft.listing(GUARD)) == outline(TEXT)
    assert table.locked


@alone
def test_another_program_cannot_change_it() -> None:
    nft, _table = loaded()
    with pytest.raises(AssertionError):
        sh(f"nft flush table inet {GUARD}")
    with pytest.raises(AssertionError):
        sh(f"nft delete table inet {GUARD}")
    assert outline(nft.listing(GUARD)) == outline(TEXT)


@alone
def test_the_guard_outlives_us_and_the_next_adopts_it() -> None:
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        _nft, _table = loaded()
        os.write(theirs, b"x")
        signal.pause()
    os.read(ours, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    nft, table = Nft(), OwnedTable(GUARD)
    assert outline(nft.listing(GUARD)) == outline(TEXT)
    table.adopt()
    assert table.locked
    sh("nft flush ruleset")
    assert outline(nft.listing(GUARD)) == outline(TEXT)


@alone
def test_while_one_holds_it_another_cannot_adopt_it() -> None:
    _nft, table = loaded()
    other = OwnedTable(GUARD)
    other.adopt()
    assert not other.locked
    assert table.locked


@alone
def test_it_may_be_loaded_again_over_itself() -> None:
    nft, table = loaded()
    table.load(nft, TEXT)
    assert table.locked
    assert outline(nft.listing(GUARD)) == outline(TEXT)


@alone
def test_a_batch_that_fails_changes_nothing() -> None:
    nft = Nft()
    nft.run("table inet t {\n chain c {\n  accept comment \"clearway: one\"\n }\n}\n")
    before = nft.listing("t")
    for wrong in (
        "flush table inet t\nadd rule inet t c accept\nadd rule inet t nowhere accept\n",
        "flush table inet t\nadd rule inet t c nonsense\n",
        "delete table inet t\nadd rule inet t c accept\n",
    ):
        with pytest.raises(NftError) as caught:
            nft.run(wrong)
        assert "\n" not in str(caught.value)
        assert nft.listing("t") == before


@alone
def test_a_check_changes_nothing() -> None:
    nft = Nft()
    nft.check(TEXT)
    assert nft.listing(GUARD) == ""
    with pytest.raises(NftError):
        nft.check("nonsense")
    nft.run(TEXT)
    assert nft.listing(GUARD)


def test_an_outline_is_the_comments_of_each_chain() -> None:
    text = 'chain a {\n drop comment "clearway: x"\n}\nadd rule inet t b accept comment "clearway: y"\n'
    assert outline(text) == {"a": ["x"], "b": ["y"]}
