"""Real QUIC through desync: a client and a site that speak HTTP/3, with censors that read their first datagrams."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton

import pytest

from routerd.desync import quic
from routerd.desync.decoys import INNOCENT

from . import censor, http3, nations, packets, plain_router, udp_answer
from .capture import Capture
from .lab import Lab
from .judge import Rule
from .packets import Packet
from .test_desync import STRAIGHT, box_with, seconds_until_loaded
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
