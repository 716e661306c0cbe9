"""Tor, over an obfs4 bridge, a plain one and straight, in a private network of the lab's own: tornet.py."""

import socket
import time
from collections.abc import Iterator
from functools import partial

import pytest

from . import censor
from .box import Box
from .capture import Allowed
from .lab import Lab
from .tornet import BRIDGE4, BRIDGE6, BRIDGE_PORT, OBFS4_PORT, RELAYS4, RELAYS6, TorNet

SERVERS = ["ss2022"]
SLOWEST = 90.0  # seconds for tor to come up on a busy machine


@pytest.fixture(scope="module")
def tor(lab: Lab) -> TorNet:
    return TorNet.up(lab)


def entry(*lines: str) -> str:
    return '[[transport]]\nname = "tor"\nkind = "tor"\nbridges = [' + ", ".join(f'"{line}"' for line in lines) + "]\n"


@pytest.fixture(params=["obfs4", "plain bridge", "plain bridge by IPv6", "no bridge"])
def way(request: pytest.FixtureRequest, tor: TorNet) -> tuple[str, list[Allowed]]:
    """The settings, and what they let leave."""
    return {
        "obfs4": (entry(tor.obfs4), [Allowed(BRIDGE4, "tcp", OBFS4_PORT)]),
        "plain bridge": (entry(tor.plain), [Allowed(BRIDGE4, "tcp", BRIDGE_PORT)]),
        "plain bridge by IPv6": (entry(tor.plain6), [Allowed(BRIDGE6, "tcp", BRIDGE_PORT)]),
        "no bridge": (entry(), tor.allowed),
    }[request.param]


@pytest.fixture
def box(lab: Lab, way: tuple[str, list[Allowed]]) -> Iterator[Box]:
    settings, allowed = way
    capture = lab.capture(allowed)
    with Box(lab, [], extra=settings) as box:
        took = box.wait_open("tor", SLOWEST)
        print(f"seconds to come up: {took:.1f}")
        yield box
    verdict = capture.stop()
    print(verdict)
    assert verdict.clean, str(verdict)
    assert verdict.router_frames > 100


def test_a_censored_site_opens_names_are_answered_and_udp_is_refused_at_once(lab: Lab, box: Box) -> None:
    with lab.censor(censor.sni_reset(["blocked.example"])):
        for family, seen in (("-4", RELAYS4), ("-6", RELAYS6)):
            answer = lab.phone.curl("https://blocked.example/ip", family, timeout=20)
            assert answer.stdout.strip() == seen, answer.stderr
    assert lab.phone.dig("blocked.example", "A", None, timeout=5) == ["198.51.100.10"]
    start = time.monotonic()
    for address in ("198.51.100.10", "2001:db8:51::10"):
        with pytest.raises(ConnectionRefusedError):
            lab.phone.call(partial(ask, address))
    assert time.monotonic() - start < 1


def ask(address: str) -> bytes:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.connect((address, 443))
        sock.send(b"hello")
        return sock.recv(2048)
