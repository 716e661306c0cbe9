"""Debian's kernel has nft's `queue`, and flow tables: the handover there, which is not the one of tests/host alone."""

import pytest

from routerd.host.queue import Handover
from routerd.render import desync
from tests.host.namespace import alone, sh
from tests.host.test_handover import ADDRESSES, BY_NFT, NONE, OTHER_SLOT, SLOT, apply, reaches_the_worker, refused_without_a_worker, there, with_worker

FLOW_TABLE = "table inet another { flowtable fast {\nhook ingress priority 0\ndevices = { lo }\n}\n}"


def table() -> str:
    return sh(f"nft list table inet {desync.HANDOVER}")


@alone
def test_desync_is_handed_over_by_nft_alone() -> None:
    assert BY_NFT, "this kernel's nftables has no queue"
    handover = Handover()
    apply(handover, with_worker(SLOT))
    before, handles = table(), there()
    assert before.count("queue ") == 2
    assert sh("nft list tables").split() == ["table", "inet", desync.HANDOVER]
    apply(handover, with_worker(SLOT))
    assert there() == handles
    for deed in (f"delete table inet {desync.HANDOVER}", f"flush chain inet {desync.HANDOVER} leaving", "flush ruleset"):
        sh(f"nft {deed}")
        apply(handover, with_worker(SLOT))
        assert table() == before, deed
    apply(Handover(), with_worker(SLOT, OTHER_SLOT))
    assert table().count("queue ") == 4
    apply(Handover(), NONE)
    assert there() == ""


@pytest.mark.parametrize("family", ADDRESSES)
@alone
def test_desync_gets_its_packets_through_nft(family: str) -> None:
    apply(Handover(), with_worker(SLOT))
    reaches_the_worker(family)


@pytest.mark.parametrize("family", ADDRESSES)
@alone
def test_desync_that_has_no_worker_is_refused_by_nft(family: str) -> None:
    apply(Handover(), with_worker(SLOT))
    refused_without_a_worker(family)


@alone
def test_desync_does_not_begin_beside_a_flow_table() -> None:
    handover = Handover()
    sh(f"nft '{FLOW_TABLE}'")
    apply(handover, NONE)
    with pytest.raises(OSError, match="the flow table fast of another program"):
        apply(handover, with_worker(SLOT))
    assert desync.HANDOVER not in there()
    sh("nft delete table inet another")
    apply(handover, with_worker(SLOT))
    sh(f"nft '{FLOW_TABLE}'")
    with pytest.raises(OSError, match="the flow table fast of another program"):
        apply(handover, with_worker(SLOT))
