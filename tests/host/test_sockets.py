"""Cutting flows: a reset reaches the peer at once, and conntrack forgets what carried a mark."""

import os
import signal
import socket

import pytest

from routerd.host import conntrack, sockets
from routerd.host.nudge import nudge
from routerd.model import mark
from tests.host.namespace import alone, household, sh


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
@alone
def test_the_peer_of_a_reset_process_hears_of_it_at_once(family: socket.AddressFamily, address: str) -> None:
    listener = socket.create_server((address, 0), family=family)
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        _conversation, _ = listener.accept()
        os.write(theirs, b"x")
        signal.pause()
    peer = socket.create_connection(listener.getsockname()[:2], timeout=5)
    os.read(ours, 1)
    assert sockets.reset(child, 0) == 1
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@alone
def test_a_process_that_is_gone_has_nothing_to_reset() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert sockets.reset(child, 0) == 0


@alone
def test_only_the_flows_of_the_slots_that_are_named_are_cut() -> None:
    household()
    sh("nft 'table inet t { chain c { type filter hook output priority 0; ct state new ct mark set meta mark; }; }'")
    for slot in (1, 2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark(slot) | 5)
            sender.sendto(b"x", ("198.51.100.9", 1000 + slot))
    conntrack.cut([1, 77])
    counted = conntrack_ports()
    assert counted == {1002}


def conntrack_ports() -> set[int]:
    text = sh("cat /proc/net/nf_conntrack 2>/dev/null || conntrack -L 2>/dev/null")
    return {port for port in (1001, 1002) if f"dport={port}" in text}


@alone
def test_the_tcp_flows_of_a_slot_are_listed_and_no_others() -> None:
    household()
    sh("nft 'table inet t { chain c { type filter hook output priority 0; ct state new ct mark set meta mark; }; }'")
    for kind, slot, port in ((socket.SOCK_STREAM, 1, 1001), (socket.SOCK_STREAM, 2, 1002), (socket.SOCK_DGRAM, 1, 1003)):
        sender = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark(slot) | 5)
        sender.connect_ex(("198.51.100.9", port))
        if kind == socket.SOCK_DGRAM:
            sender.send(b"x")
    ((_, _, site, port),) = conntrack.tcp_flows([1, 77])
    assert (site, port) == ("198.51.100.9", 1001)


@alone
def test_a_device_that_only_listens_answers_a_nudge() -> None:
    """Its acknowledgement is what the ruleset can refuse: the counter sees one on the way out."""
    sh("nft 'table inet t { chain c { type filter hook output priority 0; ip saddr 127.0.0.2 tcp flags ack counter; }; }'")
    listener = socket.create_server(("127.0.0.1", 0))
    device = socket.create_connection(listener.getsockname(), timeout=5, source_address=("127.0.0.2", 0))
    site, _ = listener.accept()
    before = packets()
    nudge([("127.0.0.2", device.getsockname()[1], *listener.getsockname())])
    assert packets() == before + 1
    site.close()


def packets() -> int:
    return int(sh("nft list ruleset").split("counter packets ")[1].split()[0])
