"""Handover and Queue against the real kernel: what waits reaches the worker, by whichever of two ways the kernel has.

tests/vm/test_desync.py runs the same on Debian's kernel, which has the other way.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from routerd.host.nfqueue import ACCEPT, DROP, Queue, waiting
from routerd.host.nft import Nft, NftError
from routerd.host.queue import Handover
from routerd.model import DESYNCED_SLOT, QUEUED_SLOT, Plan, mark
from routerd.render import desync
from routerd.transports.desync import FIRST_QUEUE, Desync
from tests.golden.cases import plan_of
from tests.host.namespace import alone, sh

NONE = replace(plan_of("direct-on-failure", "open"), launches=())
SLOT, OTHER_SLOT, PORT = 3, 7, 9999
ADDRESSES = {"4": "127.0.0.1", "6": "::1"}
FAMILIES = {"4": socket.AF_INET, "6": socket.AF_INET6}


def with_worker(*slots: int) -> Plan:
    return replace(NONE, launches=tuple(Desync().launch(f"straight {slot}", slot) for slot in slots))


def apply(handover: Handover, plan: Plan) -> None:
    asyncio.run(handover.apply(plan))


def there() -> str:
    """All that is in the kernel, with handles: what is written anew has another."""
    return sh("nft -a list ruleset 2>/dev/null")


def ours(text: str = "") -> int:
    """Rules that hand over to the queue of a slot, and jumps to them."""
    lines = (text or sh("iptables-nft -t mangle -S; ip6tables-nft -t mangle -S")).splitlines()
    return sum(desync.CHAIN in line for line in lines)


# Of each family: the chain, two jumps, and a rule for each slot.
ONE, TWO = 2 * 4, 2 * 5
# Asked in a network of its own, as all is here.
BY_NFT = not subprocess.run(["unshare", "-n", "nft", "-c", "table inet t { chain c { queue num 1\n}\n}"], capture_output=True).returncode
by_iptables = pytest.mark.skipif(BY_NFT, reason="this kernel's nftables has queue; tests/vm/test_desync.py is for it")


@by_iptables
@alone
def test_applied_twice_it_changes_nothing() -> None:
    handover = Handover()
    apply(handover, with_worker(SLOT))
    before = there()
    assert ours() == ONE
    apply(handover, with_worker(SLOT))
    assert there() == before


@pytest.mark.parametrize(
    "deed",
    [
        "nft flush ruleset",
        "iptables-nft -t mangle -F",
        "ip6tables-nft -t mangle -F clearway-queue",
        "iptables-nft -t mangle -D POSTROUTING -j clearway-queue",
        "iptables-nft -t mangle -D INPUT 1",
        "ip6tables-nft -t mangle -A INPUT -j clearway-queue",
        "iptables-nft -t mangle -I clearway-queue -j ACCEPT",
    ],
)
@by_iptables
@alone
def test_what_somebody_takes_away_or_puts_in_is_mended_at_the_next_apply(deed: str) -> None:
    handover = Handover()
    apply(handover, with_worker(SLOT))
    before = sh("iptables-nft -t mangle -S; ip6tables-nft -t mangle -S")
    sh(deed)
    assert sh("iptables-nft -t mangle -S; ip6tables-nft -t mangle -S") != before
    apply(handover, with_worker(SLOT))
    assert sh("iptables-nft -t mangle -S; ip6tables-nft -t mangle -S") == before


@by_iptables
@alone
def test_it_goes_with_the_last_worker_and_leaves_what_is_others() -> None:
    sh("iptables-nft -t mangle -A INPUT -p tcp --dport 7 -j DROP")
    handover = Handover()
    apply(handover, with_worker(SLOT, OTHER_SLOT))
    assert ours() == TWO
    apply(handover, with_worker(OTHER_SLOT))
    assert ours() == ONE
    assert f"--queue-num {FIRST_QUEUE + OTHER_SLOT}" in sh("iptables-nft -t mangle -S")
    assert f"--queue-num {FIRST_QUEUE + SLOT}" not in sh("iptables-nft -t mangle -S")
    apply(handover, NONE)
    assert ours() == 0
    assert "--dport 7 -j DROP" in sh("iptables-nft -t mangle -S")


@by_iptables
@alone
def test_nothing_is_touched_where_there_never_was_a_worker() -> None:
    apply(Handover(), NONE)
    assert there() == ""


@by_iptables
@alone
def test_what_a_daemon_before_left_is_taken_away_or_over() -> None:
    apply(Handover(), with_worker(SLOT))
    apply(Handover(), NONE)
    assert ours() == 0
    apply(Handover(), with_worker(SLOT))
    apply(Handover(), with_worker(OTHER_SLOT))
    assert ours() == ONE
    assert f"--queue-num {FIRST_QUEUE + SLOT}" not in sh("iptables-nft -t mangle -S")


@alone
def test_the_table_for_nft_is_what_nft_reads() -> None:
    """Where the kernel lacks `queue` the refusal is the kernel's, not the parser's."""
    nft, text = Nft(), desync.handover(((SLOT, FIRST_QUEUE + SLOT), (OTHER_SLOT, FIRST_QUEUE + OTHER_SLOT)))
    with pytest.raises(NftError, match="syntax error"):
        nft.check(text.replace("queue num", "to num"))
    if BY_NFT:
        nft.check(text)
    else:
        with pytest.raises(NftError, match="Could not process rule: No such file"):
            nft.check(text)


# -- the queue --------------------------------------------------------------------------------------------------------


def waits(queue: Queue, count: int = 1) -> list[tuple[int, int, bool, bytes]]:
    """So many packets; none where there is none after half a second."""
    found: list[tuple[int, int, bool, bytes]] = []
    while len(found) < count and select.select([queue.sock], [], [], 0.5)[0]:
        found += queue.receive()
    return found


@contextmanager
def flow(family: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """One who sends with QUEUED_SLOT's mark in a flow of the slot, and one who receives; `marked` counts what is let go."""
    sh(
        f"nft 'table inet flows {{ counter marked {{\n}}\n"
        f"chain out {{ type filter hook output priority -160\nudp dport {PORT} ct mark set {mark(SLOT):#x}\n}}\n"
        f"chain in {{ type filter hook input priority 10\nmeta mark {mark(DESYNCED_SLOT):#x} counter name marked\n}}\n}}'"
    )
    with socket.socket(FAMILIES[family], socket.SOCK_DGRAM) as to, socket.socket(FAMILIES[family], socket.SOCK_DGRAM) as by:
        to.bind((ADDRESSES[family], PORT))
        to.settimeout(0.5)
        by.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark(QUEUED_SLOT))
        by.connect((ADDRESSES[family], PORT))
        yield by, to


def marked() -> int:
    return int(sh("nft list counter inet flows marked").split("packets ")[1].split()[0])


def arrived(to: socket.socket) -> bytes:
    try:
        return to.recv(100)
    except TimeoutError:
        return b""


def reaches_the_worker(family: str) -> None:
    """Through a handover that is in force: twice where it is let go with the same mark, on the way out and in."""
    queue = Queue(FIRST_QUEUE + SLOT)
    with flow(family) as (by, to):
        by.send(b"twice")
        assert waiting()[FIRST_QUEUE + SLOT] == 1
        [(number, its_mark, local, data)] = waits(queue)
        assert (its_mark, local, data[-5:], data[0] >> 4) == (mark(QUEUED_SLOT), False, b"twice", int(family))
        queue.verdicts([(number, ACCEPT, its_mark)])
        [(number, its_mark, local, data)] = waits(queue)
        assert (its_mark, local, data[-5:]) == (mark(QUEUED_SLOT), True, b"twice")
        assert arrived(to) == b""
        queue.verdicts([(number, ACCEPT, mark(DESYNCED_SLOT))])
        assert (arrived(to), marked()) == (b"twice", 1)
        assert waiting()[FIRST_QUEUE + SLOT] == 0

        by.send(b"once")
        queue.verdicts([(waits(queue)[0][0], ACCEPT, mark(DESYNCED_SLOT))])
        assert (arrived(to), marked(), waits(queue)) == (b"once", 2, [])

        by.send(b"one"), by.send(b"two")
        one, two = waits(queue, 2)
        assert waiting()[FIRST_QUEUE + SLOT] == 2
        queue.verdicts([(one[0], DROP, 0), (two[0], ACCEPT, mark(DESYNCED_SLOT))])
        assert (arrived(to), arrived(to)) == (b"two", b"")


def refused_without_a_worker(family: str) -> None:
    with flow(family) as (by, to):
        by.send(b"nobody")
        assert arrived(to) == b""
        queue = Queue(FIRST_QUEUE + SLOT)
        by.send(b"waits")
        assert arrived(to) == b""
        queue.sock.close()
        assert arrived(to) == b"", "what waited for a worker that is gone is gone too"
        by.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark(DESYNCED_SLOT))
        by.send(b"seen")
        assert arrived(to) == b"seen", "the flow is sound; it was the handover that refused"


@pytest.mark.parametrize("family", ADDRESSES)
@alone
def test_what_waits_reaches_the_worker_and_its_word_is_law(family: str) -> None:
    apply(Handover(), with_worker(SLOT))
    reaches_the_worker(family)


@pytest.mark.parametrize("family", ADDRESSES)
@alone
def test_without_a_worker_what_waits_is_refused(family: str) -> None:
    apply(Handover(), with_worker(SLOT))
    refused_without_a_worker(family)


@alone
def test_a_flow_of_another_slot_is_not_handed_over() -> None:
    apply(Handover(), with_worker(OTHER_SLOT))
    queue = Queue(FIRST_QUEUE + OTHER_SLOT)
    with flow("4") as (by, to):
        by.send(b"other")
        assert (arrived(to), waits(queue)) == (b"other", [])


@alone
def test_a_queue_that_another_has_is_refused() -> None:
    held = Queue(5)
    with pytest.raises(OSError, match="queue 5: another program has it") as caught:
        Queue(5)
    assert caught.value.errno == errno.EPERM
    held.sock.close()
    Queue(5)


@alone
def test_nothing_waits_where_nobody_asked() -> None:
    assert waiting() == {}
