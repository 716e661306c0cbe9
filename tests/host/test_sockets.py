"""Cutting flows: a reset reaches the peer at once, and conntrack forgets what carried a mark."""

import os
import signal
import socket

import pytest

from routerd.host import conntrack, sockets
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
