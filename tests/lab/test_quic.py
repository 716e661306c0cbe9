"""Real QUIC through desync: a client and a site that speak HTTP/3, with censors that read their first datagrams."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton

import pytest

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from routerd.desync import quic
from routerd.desync.decoys import INNOCENT
from routerd.desync.young import PATIENCE

from . import censor, http3, nations, packets, plain_router, udp_answer
from .capture import Capture
from .lab import Lab
from .net import wait_until
from .packets import Packet
from .test_desync import STRAIGHT, box_with
from .topology import SITE
from .verdict import IPV4, IPV6, frames

SERVERS: list[str] = []
HOST = "blocked2.example"  # blocked.example's UDP port 443 is the UDP service's
HERE, OPEN = SITE[HOST], SITE["open.example"]
URL = f"https://{HOST}/"
DECOYS = "decoys(3) split(1,midsld)"
FAMILIES = pytest.mark.parametrize("family", ["-4", "-6"])


@pytest.fixture(scope="module", autouse=True)
def site(lab: Lab) -> None:
    http3.start(lab, HERE)


def loads(lab: Lab, *options: str) -> bool:
    done = http3.fetched(lab.phone, URL, *options)
    print(done.stderr)
    return lab.page_token(HOST) in done.stdout


@contextmanager
def initials(lab: Lab, tmp_path: Path) -> Iterator[list[list[str | None]]]:
    """At the end: for each flow of the router's to the site, in order, the name in each Initial alone (None: not in it)."""
    found: list[list[str | None]] = []
    capture = Capture.start(lab.isp, lab.router, STRAIGHT, ())
    try:
        yield found
    finally:
        kept = tmp_path / "quic.pcap"
        capture.stop(kept)
        flows: dict[object, list[str | None]] = {}
        for packet in to_site(kept.read_bytes()):
            if quic.is_initial(packet.payload):
                flows.setdefault(packet.flow, []).append(quic.name([packet.payload]))
        found += flows.values()


def to_site(data: bytes) -> Iterator[Packet]:
    here = {inet_pton(AF_INET, HERE.address4), inet_pton(AF_INET6, HERE.address6)}
    for _, frame in frames(data):
        packet = packets.parse(frame[14:]) if frame[12:14] in (IPV4, IPV6) else None
        if packet and packet.proto == packets.UDP and packet.dst in here and packet.dport == 443:
            yield packet


@FAMILIES
def test_the_control_a_plain_router_carries_quic_and_the_censors_stop_it(lab: Lab, family: str) -> None:
    with plain_router(lab):
        assert loads(lab, family) and loads(lab, family, "--large")
        with lab.censor(nations.china_quic([HOST], 60)):
            assert not loads(lab, family, "-m", "2")
        with lab.censor(nations.china_quic(["other.example"], 60)):
            assert loads(lab, family), "another's name is nobody's affair"
        with lab.censor(nations.russia([HOST])[1]):
            assert not loads(lab, family, "-m", "2")
        assert loads(lab, family)


@FAMILIES
def test_decoys_go_before_the_clients_own_and_the_censor_of_first_datagrams_sees_them_alone(
    lab: Lab, family: str, tmp_path: Path
) -> None:
    with box_with(lab, DECOYS) as box:
        box.wait_open("none")
        with lab.censor(nations.china_quic([HOST], 60)), initials(lab, tmp_path) as flows:
            began = time.monotonic()
            assert loads(lab, family)
            print(f"{time.monotonic() - began:.2f} s")
    [names] = flows
    assert names[:4] == [INNOCENT.decode()] * 3 + [HOST], names


def test_when_https_needs_a_strategy_quic_gets_decoys_and_no_search_of_its_own(lab: Lab) -> None:
    with box_with(lab) as box:
        box.wait_open("none")
        assert loads(lab), "left as it is"
        with lab.censor(censor.sni_reset([HOST]), nations.china_quic([HOST], 60)):
            wait_until(lambda: lab.page_token(HOST) in lab.phone.curl(URL, "-m", "5").stdout, 15, "HTTPS opens", 0.2)
            assert loads(lab)
        [known] = box.ask("GET", "/desync")["known"]
        assert known["sites"] == 1 and "decoys" not in known["strategy"], "HTTPS's own"


@FAMILIES
def test_a_hello_in_two_datagrams_is_held_until_it_is_whole_and_then_all_of_it_goes(
    lab: Lab, family: str, tmp_path: Path
) -> None:
    with box_with(lab, DECOYS) as box:
        box.wait_open("none")
        with initials(lab, tmp_path) as flows:
            assert loads(lab, family, "--large")
            time.sleep(0.5)
            first, second = long_hello()
            address = HERE.address6 if family == "-6" else HERE.address4
            lab.phone.call(lambda: say(address, first, second, 0.1))
    assert [flow[:8] for flow in flows] == [([INNOCENT.decode()] * 3 + [None]) * 2] * 2, flows


def long_hello() -> list[bytes]:
    """The datagrams of one, as the client sends them."""
    asked = QuicConfiguration(alpn_protocols=["h3"], supported_versions=http3.V1, server_name=HOST)
    asked.cipher_suites = http3.MANY
    connection = QuicConnection(configuration=asked)
    connection.connect((HERE.address4, 443), now=0.0)
    return [datagram for datagram, _ in connection.datagrams_to_send(now=0.0)]


def say(address: str, first: bytes, second: bytes, apart: float) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, 443))
        sock.send(first)
        time.sleep(apart)
        sock.send(second)
        time.sleep(0.5)


def test_half_a_hello_leaves_only_when_the_other_half_is_there_or_was_waited_for_in_vain(lab: Lab, tmp_path: Path) -> None:
    first, second = long_hello()
    with box_with(lab, DECOYS) as box:
        box.wait_open("none")
        for apart in (0.15, 2 * PATIENCE + 0.3):
            capture = Capture.start(lab.isp, lab.router, STRAIGHT, ())
            began = time.time()
            lab.phone.call(lambda apart=apart: say(HERE.address4, first, second, apart))
            times = [at - began for at, _ in capture.sent(HERE.address4, began)]
            capture.stop()
            print(apart, [f"{at:.3f}" for at in times])
            assert min(apart, PATIENCE) <= times[0] < min(apart, PATIENCE) + 0.2


def test_what_is_no_quic_passes_as_it_is(lab: Lab) -> None:
    nothing = b"\xc3" + quic.V1.number.to_bytes(4) + bytes(200)  # begins as an Initial, and cannot be opened
    for strategy in (DECOYS, "auto"):
        with box_with(lab, strategy) as box:
            box.wait_open("none")
            for address in (OPEN.address4, OPEN.address6):
                assert udp_answer(lab.phone, address, 443, b"no quic").endswith(b"no quic")
            assert strategy == DECOYS or udp_answer(lab.phone, OPEN.address4, 443, nothing, 1.0).endswith(nothing)


def test_quic_that_is_blocked_alone_gets_decoys_after_one_failure(lab: Lab) -> None:
    residual = 4
    with box_with(lab) as box:
        box.wait_open("none")
        with lab.censor(nations.china_quic([HOST], residual)), ThreadPoolExecutor() as pool:
            caught = time.monotonic()
            browser = pool.submit(loads, lab, "-m", "3")
            time.sleep(1)
            assert lab.page_token(HOST) in lab.phone.curl(URL).stdout, "it falls back to TCP"
            assert not browser.result()
            time.sleep(max(0.0, caught + 3 + residual + 0.5 - time.monotonic()))
            assert loads(lab)
        [known] = box.ask("GET", "/desync")["known"]
        assert (known["strategy"], known["sites"]) == ("decoys(3)", 1)
