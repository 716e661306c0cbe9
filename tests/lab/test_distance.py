"""Decoys that must die on the way, where the way is long: past the censor, and never at the site."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address

import pytest

from routerd.desync.decoys import INNOCENT
from tests.lab import Lab, nations, plain_router
from tests.lab.distance import farther
from tests.lab.fault import FIREWALL_OFF
from tests.lab.net import SO_RCVBUFFORCE
from tests.lab.test_desync import box_with, loads
from tests.lab.test_nations import with_decoy, wire
from tests.lab.topology import SITE, SITES

HOST = "blocked.example"
JOINS = nations.russia_joining([HOST])  # takes the first copy of a byte
MORE = 4
ROUTERS = MORE + 2
BEGINS = ("ipv4/ip_default_ttl", "ipv6/conf/all/hop_limit", "ipv6/conf/eth0/hop_limit")
THERE = {ip_address(address).packed for site in SITES if not site.domestic for address in (site.address4, site.address6)}


@pytest.fixture(scope="module", params=[False, True], ids=["as far there as back", "nearer there than back"])
def far(request: pytest.FixtureRequest) -> Iterator[tuple[Lab, int]]:
    """With how many routers a packet of the box meets on its way to the sites; on the way back it is always ROUTERS."""
    with Lab.up(()) as lab:
        assert farther(lab, MORE, request.param) == ROUTERS
        yield lab, ROUTERS - request.param


@contextmanager
def decoys(lab: Lab, strategy: str) -> Iterator[dict[str, set[int]]]:
    """A box that sends them; at the end, with which TTL they came to each host."""
    found: dict[str, set[int]] = {}
    with box_with(lab, strategy) as box, ExitStack() as rest:
        box.wait_open("none", 40)
        eyes = {name: rest.enter_context(wire(lab.net.hosts[name])) for name in ("isp", "sites")}
        for eye in eyes.values():
            eye.setsockopt(1, SO_RCVBUFFORCE, 64 << 20)
        with lab.censor(JOINS):
            yield found
        found.update({name: {packet.ttl for packet in with_decoy(eye) if packet.dst in THERE} for name, eye in eyes.items()})


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_the_way_is_as_long_as_it_should_be(far: tuple[Lab, int], family: str) -> None:
    lab, routers = far
    with plain_router(lab):
        assert loads(lab, family)
        target = SITE[HOST].address4 if family == "-4" else SITE[HOST].address6
        answers = [lab.router.run(["ping", family, "-c1", "-W1", "-t", str(ttl), target], check=False).returncode == 0
                   for ttl in (routers, routers + 1)]
        back = lab.router.run(["ping", family, "-c1", "-W1", target]).stdout
        assert answers == [False, True] and f"ttl={64 - ROUTERS} " in back


def test_a_decoy_is_given_what_the_way_takes_whatever_the_servers_ttl_begins_with(far: tuple[Lab, int]) -> None:
    lab, _ = far
    with decoys(lab, "fake(hello,ttl)") as came:
        for begins in (64, 128, 255):
            lab.sites.sh("".join(f"echo {begins} > /proc/sys/net/{where}\n" for where in BEGINS))
            for family in ("-4", "-6"):
                assert loads(lab, family), f"{begins} {family}: the censor took the name, or the site the decoy"
    assert came == {"isp": {ROUTERS - 1}, "sites": set()}


def test_what_lives_for_two_routers_is_seen_by_the_censor_and_what_outlives_the_last_by_the_site(far: tuple[Lab, int]) -> None:
    lab, routers = far
    lab.router.sh(FIREWALL_OFF)
    with ExitStack() as rest:
        names = ("isp", "exchange", f"far{MORE}", "sites")
        eyes = {name: rest.enter_context(wire(lab.net.hosts[name])) for name in names}
        for ttl in range(1, routers + 2):
            lab.router.call(lambda ttl=ttl: sent(ttl))
            reached = [name for name, eye in eyes.items() if with_decoy(eye)]
            assert reached == list(names[: 1 + (ttl >= 2) + (ttl >= routers) + (ttl > routers)]), ttl


def sent(ttl: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sock.sendto(INNOCENT, (SITE[HOST].address4, 7))
    time.sleep(0.05)  # for five veths
