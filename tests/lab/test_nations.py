"""Each country's censor does what it says, seen from the phone behind a router that only forwards; and where decoys die."""

import socket
import time
from contextlib import ExitStack

import pytest

from routerd.desync.decoys import INNOCENT
from routerd.desync.packet import Packet, parse
from routerd.desync.quic import initial
from tests.lab import Lab, nations, udp_answer
from tests.lab.censor import Censor
from tests.lab.net import Host
from tests.lab.test_desync import box_with, loads
from tests.lab.topology import SITE

SERVERS = ["ss2022"]
HOST, OTHER = "blocked.example", "open.example"
BLOCKED, OPEN = SITE[HOST], SITE[OTHER]
NAMES = [HOST]
RESET, TIMEOUT, CUT, REFUSED = 35, 28, 56, 7  # curl's exit codes; the last where the RST comes right after the handshake
ETH_P_ALL = 3
HOPS = 2  # routers between the box and the sites: the provider's, where the censors sit, and the exchange


def asked(host: Host, url: str, *options: str, timeout: float = 1.5) -> tuple[int, str]:
    """curl's exit code and what it got; names are looked up in the lab's map, since DNS may lie."""
    fixed = [f"{site.name}:{port}:{site.address4},[{site.address6}]" for site in SITE.values() for port in (80, 443)]
    done = host.curl(url, *(word for one in fixed for word in ("--resolve", one)), *options, timeout=timeout)
    return done.returncode, done.stdout


STREAMS = {
    "china": (nations.china(NAMES, 0.1), {RESET}),
    "iran": (nations.iran(NAMES), {TIMEOUT}),
    "iran strict": (nations.iran_strict(NAMES), {TIMEOUT}),
    "russia": (nations.russia(NAMES), {RESET}),
    "russia silent": ((nations.russia_silent(NAMES),), {TIMEOUT}),
    "russia joining": ((nations.russia_joining(NAMES),), {TIMEOUT}),
    "india": (nations.india(NAMES), {RESET}),
    "kazakhstan": (nations.kazakhstan(NAMES), {TIMEOUT}),
    "turkmenistan": (nations.turkmenistan(NAMES, 0.1), {RESET}),
}


@pytest.mark.parametrize("nation", STREAMS)
def test_a_hello_for_a_listed_name_fails_as_it_does_there_and_others_pass(plain: Lab, nation: str) -> None:
    censors, codes = STREAMS[nation]
    with plain.censor(*censors):
        for family in ("-4", "-6"):
            assert asked(plain.phone, f"https://{HOST}/", family)[0] in codes
            code, page = asked(plain.phone, f"https://{OTHER}/", family)
            assert code == 0 and plain.page_token(OTHER) in page
    time.sleep(0.1)
    assert asked(plain.phone, f"https://{HOST}/")[0] == 0


@pytest.mark.parametrize("censors", [nations.india(NAMES), nations.iran(NAMES), nations.kazakhstan(NAMES)], ids=lambda them: them[0].name)
def test_a_request_is_answered_with_a_page_in_the_sites_name(plain: Lab, censors: tuple[Censor, ...]) -> None:
    with plain.censor(*censors):
        for family in ("-4", "-6"):
            code, page = asked(plain.phone, f"http://{HOST}/", family)
            assert code == 0 and "ministry" in page and plain.page_token(HOST) not in page
        assert plain.page_token(OTHER) in asked(plain.phone, f"http://{OTHER}/")[1]


def test_a_page_may_be_a_redirect_and_who_compares_bytes_misses_other_spellings(plain: Lab) -> None:
    show = ("-o", "/dev/null", "-w", "%{http_code} %{redirect_url}")
    with plain.censor(*nations.india(NAMES, 302)):
        assert asked(plain.phone, f"http://{HOST}/", *show) == (0, "302 http://block.example/")
        assert asked(plain.phone, f"http://{HOST}/", *show, "-H", "Host:", "-H", f"hOsT: {HOST}") == (0, "200 ")


def test_chinas_wall_remembers_a_pair_of_ends_and_no_other(plain: Lab) -> None:
    there = f"{OTHER}:443:{BLOCKED.address4}:443"
    innocent = (f"https://{OTHER}/", "-k", "--connect-to", there)
    with plain.censor(*nations.china(NAMES, 3)):
        assert asked(plain.phone, *innocent)[0] == 0
        assert asked(plain.phone, f"https://{HOST}/", "-4")[0] == RESET
        caught = time.monotonic()
        assert asked(plain.phone, *innocent)[0] in (RESET, REFUSED)
        assert asked(plain.phone, f"https://{OTHER}/", "-4")[0] == 0
        assert time.monotonic() - caught < 3, "too slow to tell"
        time.sleep(caught + 3.1 - time.monotonic())
        assert asked(plain.phone, *innocent)[0] == 0


def test_quic_with_a_listed_name_is_silent_and_so_is_the_pair_of_ends_for_a_while(plain: Lab) -> None:
    bad, good = initial(b"a", HOST.encode()), initial(b"b", OTHER.encode())
    with plain.censor(nations.china_quic(NAMES, 2)):
        assert udp_answer(plain.phone, BLOCKED.address4, 443, good)
        assert not udp_answer(plain.phone, BLOCKED.address4, 443, bad)
        caught = time.monotonic()
        assert not udp_answer(plain.phone, BLOCKED.address4, 443, good)
        assert udp_answer(plain.phone, OPEN.address4, 443, good)
        time.sleep(max(0.0, caught + 2.1 - time.monotonic()))
        assert udp_answer(plain.phone, BLOCKED.address4, 443, good)


def test_russias_quic_filter_takes_every_initial_and_nothing_else(plain: Lab) -> None:
    with plain.censor(*nations.russia(NAMES)):
        assert not udp_answer(plain.phone, OPEN.address6, 443, initial(b"b"))
        assert udp_answer(plain.phone, OPEN.address6, 443, b"no quic")
        assert udp_answer(plain.phone, OPEN.address6, 7, initial(b"b"))


def size(lab: Lab, name: str, family: str) -> int:
    """Of a megabyte, what comes in two seconds."""
    options = ("-o", "/dev/null", "-w", "%{size_download}")
    return int(asked(lab.phone, f"https://{name}/blob/1000000", family, *options, timeout=2)[1])


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_russias_throttle_lets_a_flow_crawl_and_its_delay_cuts_one_that_began(plain: Lab, family: str) -> None:
    with plain.censor(nations.russia_throttle(NAMES)):
        assert size(plain, HOST, family) < 100_000 and size(plain, OTHER, family) == 1_000_000
    with plain.censor(nations.russia_delayed(NAMES)):
        assert size(plain, HOST, family) < 1_000_000 and size(plain, OTHER, family) == 1_000_000
    with plain.censor(nations.russia_delayed(NAMES, 200)):
        assert asked(plain.phone, f"https://{HOST}/", family)[0] == 0, "it began"
    assert size(plain, HOST, family) == 1_000_000


def test_turkmenistan_looks_at_what_comes_in_from_outside_too(plain: Lab) -> None:
    inside = SITE["domestic.example"]
    url, named = f"http://{inside.address4}/", ("-H", f"Host: {HOST}")
    assert asked(plain.sites, url, *named)[0] == 0
    with plain.censor(*nations.turkmenistan(NAMES, 0.1)):
        assert asked(plain.sites, url, *named)[0] == CUT
        time.sleep(0.2)
        assert asked(plain.sites, url)[0] == 0


# -- decoys -----------------------------------------------------------------------------------------------------------


def wire(host: Host) -> socket.socket:
    """Everything that this machine sends or gets from now on."""
    made = host.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)))
    made.setblocking(False)
    return made


def with_decoy(eye: socket.socket) -> list[Packet]:
    """Packets that came in with a decoy's name."""
    found = []
    while True:
        try:
            data, (*_, kind, _, _) = eye.recvfrom(1 << 16)
        except BlockingIOError:
            return found
        packet = parse(data) if INNOCENT in data else None
        found += [packet] if packet and kind == socket.PACKET_HOST else []


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_a_decoy_passes_the_censor_and_dies_before_the_site(lab: Lab, family: str) -> None:
    with box_with(lab, "fake(hello,ttl)") as box, ExitStack() as rest:
        box.wait_open("none")
        at = {name: rest.enter_context(wire(lab.net.hosts[name])) for name in ("isp", "exchange", "sites")}
        with lab.censor(nations.russia_joining([HOST])):
            assert loads(lab, family), "the censor took the decoy"
        seen = {name: {packet.ttl for packet in with_decoy(eye)} for name, eye in at.items()}
        assert seen == {"isp": {HOPS}, "exchange": {1}, "sites": set()}


def test_without_a_decoy_the_same_censor_catches_the_box(lab: Lab) -> None:
    with box_with(lab, "split(1,midsld) disorder") as box:
        box.wait_open("none")
        with lab.censor(nations.russia_joining([HOST])):
            assert not loads(lab, "-4")


@pytest.mark.parametrize("by", ["md5", "badsum", "badseq"])
def test_decoys_that_need_no_distance_reach_the_site_and_do_no_harm(lab: Lab, by: str) -> None:
    with box_with(lab, f"fake(hello,{by}) split(1,midsld) disorder") as box, wire(lab.sites) as eye:
        box.wait_open("none")
        with lab.censor(nations.russia(NAMES)[0]):
            assert loads(lab, "-4") and loads(lab, "-6")
        assert with_decoy(eye)
