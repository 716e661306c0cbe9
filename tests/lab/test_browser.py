"""A real browser behind the box: its ClientHello fills two packets, and the name lies anywhere in them."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from routerd.desync.hello import hello
from routerd.desync.packet import SYN, parse
from tests.lab import Lab, censor
from tests.lab.browser import chromium, visits
from tests.lab.net import SO_RCVBUFFORCE, Host
from tests.lab.test_desync import box_with
from tests.lab.test_nations import wire
from tests.lab.topology import SITE

pytestmark = pytest.mark.skipif(not shutil.which("chromium"), reason="Debian package chromium is not installed")
HOST, OTHER = "blocked.example", "open.example"
NAMES = [HOST]
URL = f"https://{HOST}/"


def shows(lab: Lab, name: str, timeout: float = 15) -> bool:
    return lab.page_token(name) in visits(lab, lab.laptop, name, timeout=timeout)


@contextmanager
def eye_at(host: Host) -> Iterator[socket.socket]:
    """That loses nothing of what the box fetches for itself meanwhile."""
    with wire(host) as eye:
        eye.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        yield eye


def openings(eye: socket.socket, name: str) -> list[int]:
    """Of each flow to this site that came by: how many packets its hello took."""
    ends = {socket.inet_pton(family, address) for family, address in
            ((socket.AF_INET, SITE[name].address4), (socket.AF_INET6, SITE[name].address6))}
    flows: dict[tuple[bytes, int], list[bytes]] = {}
    while True:
        try:
            data, (*_, kind, _, _) = eye.recvfrom(1 << 16)
        except BlockingIOError:
            return [taken(said) for said in flows.values() if said]
        packet = parse(data)
        if packet is None or kind != socket.PACKET_HOST or packet.dst not in ends or packet.dport != 443:
            continue
        if packet.flags & SYN:
            flows[packet.src, packet.sport] = []
        elif packet.payload and (packet.src, packet.sport) in flows:
            flows[packet.src, packet.sport].append(packet.payload)


def taken(said: list[bytes]) -> int:
    """Packets until the hello is whole."""
    for count in range(1, len(said) + 1):
        read = hello(b"".join(said[:count]))
        if read and read.whole:
            return count
    raise AssertionError("no whole hello")


def test_a_browser_says_its_hello_in_two_packets_and_trusts_the_site_alone(plain: Lab) -> None:
    plain.laptop.run(["ip", "link", "set", "eth0", "gso_max_segs", "1"])  # else the wire is shown one big packet
    with eye_at(plain.isp) as eye:
        assert shows(plain, HOST)
        assert set(openings(eye, HOST)) == {2}
    stranger = plain.sites.directory / f"{OTHER}.pem"
    assert plain.page_token(HOST) not in chromium(plain.laptop, URL, stranger), "somebody else's key is not the site's"


def test_a_reassembling_censor_stops_a_browser_for_the_listed_name_alone(plain: Lab) -> None:
    with plain.censor(censor.sni_reset(NAMES, True)):
        assert not shows(plain, HOST, 4)
        assert shows(plain, OTHER)


def test_a_browsers_hello_is_played_in_pieces_and_the_page_comes(lab: Lab) -> None:
    with box_with(lab, "split(1,midsld)") as box:
        box.wait_open("none")
        with lab.censor(censor.sni_reset(NAMES)), eye_at(lab.isp) as eye:
            assert shows(lab, HOST)
            assert min(openings(eye, HOST)) > 2


def test_a_browser_behind_a_box_that_searches_gets_the_page_from_a_reassembling_censor(lab: Lab) -> None:
    with box_with(lab) as box:
        box.wait_open("none")
        with lab.censor(censor.sni_reset(NAMES, True)):
            assert any(shows(lab, HOST, 5) for _ in range(5))
            [known] = box.ask("GET", "/desync")["known"]
            assert known["strategy"]
            assert shows(lab, HOST, 5), "and at once from then on"
