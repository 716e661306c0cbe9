"""Tor over bridges whose lines tell no true address, to the end, by the real clients: meek, snowflake, webtunnel.

What is behind meek's and snowflake's front is the lab's own, as no package has it: meek.py, broker.py, snowflake.py.
"""

import shutil
from collections.abc import Iterator

import pytest

from routerd.host.engines import PATH
from routerd.transports.tor import HELPERS

from . import censor, webtunnel
from .box import Box
from .capture import Allowed
from .front import ADDRESS4, BROKER, HTTPS, MEEK, NAME, Front, start_front
from .lab import Lab
from .snowflake import SERVER4, STUN, STUN_PORT, VOLUNTEER4, VOLUNTEER6, start_snowflake
from .test_tor import SLOWEST, entry
from .topology import RESOLVERS4, WAN4, WAN6
from .tornet import BRIDGE4, BRIDGE_PORT, RELAYS4, TorNet

WEBRTC = [Allowed(address, "udp") for address in (VOLUNTEER4, VOLUNTEER6)]
MEGABYTE = "1000000"
RESOLVERS = [Allowed(address, "tcp", 443) for address in RESOLVERS4]


@pytest.fixture(scope="module")
def tor(lab: Lab) -> TorNet:
    return TorNet.up(lab)


@pytest.fixture(scope="module")
def front(lab: Lab, tor: TorNet) -> Front:
    return start_front(lab.net, lab.ca, (BRIDGE4, BRIDGE_PORT))


@pytest.fixture
def censored(lab: Lab) -> Iterator[None]:
    """Tor is blocked by its addresses, and the site by its name."""
    with lab.censor(censor.ip_drop([RELAYS4, BRIDGE4])), lab.censor(censor.sni_reset(["blocked.example"])):
        yield


def fetched(lab: Lab) -> str:
    """More than any window of what is on the way holds."""
    url = f"https://blocked.example/blob/{MEGABYTE}"
    answer = lab.phone.curl(url, "-o", "/dev/null", "-w", "%{size_download} %{speed_download}", timeout=60)
    size, speed = answer.stdout.split()
    print(f"through three hops: {float(speed) * 8 / 1e6:.1f} Mbit/s")
    return size


def test_over_meek_tor_comes_up_and_only_the_front_is_seen(lab: Lab, tor: TorNet, front: Front, censored: None) -> None:
    """Debian's obfs4proxy is the client; it asks by TLS for the front, and inside for a name that no resolver knows."""
    line = f"meek_lite 192.0.2.20:80 {tor.fingerprint} url=https://{MEEK}/ front={NAME}"
    capture = lab.capture([HTTPS, *RESOLVERS])
    with Box(lab, [], extra=entry(line)) as box:
        print(f"seconds to come up over meek: {box.wait_open('tor', SLOWEST):.1f}")
        answer = lab.phone.curl("https://blocked.example/ip", "-4", timeout=30)
        assert answer.stdout.strip() == RELAYS4, answer.stderr
        assert fetched(lab) == MEGABYTE
        assert {(one["host"], one["status"]) for one in front.requests()} == {(MEEK, 200)}
        assert capture.sent(ADDRESS4, 0)
    verdict = capture.stop()
    assert verdict.clean, str(verdict)


def test_over_snowflake_tor_comes_up_by_a_volunteer_that_the_broker_names(lab: Lab, tor: TorNet, front: Front, censored: None) -> None:
    """Debian's snowflake-client and snowflake-proxy are at the two ends of the WebRTC; STUN, broker and server are the lab's."""
    volunteer = start_snowflake(lab.net, (BRIDGE4, BRIDGE_PORT))
    line = (
        f"snowflake 192.0.2.3:80 {tor.fingerprint} fingerprint={tor.fingerprint} url=https://{BROKER}/ fronts={NAME} "
        f"ice=stun:{STUN}:{STUN_PORT}"
    )
    capture = lab.capture([HTTPS, *RESOLVERS, Allowed(SERVER4, "udp", STUN_PORT), *WEBRTC])
    with Box(lab, [], extra=entry(line)) as box:
        print(f"seconds to come up over snowflake: {box.wait_open('tor', SLOWEST):.1f}")
        answer = lab.phone.curl("https://blocked.example/ip", "-4", timeout=30)
        assert answer.stdout.strip() == RELAYS4, answer.stderr
        assert fetched(lab) == MEGABYTE
        assert any(one["host"] == BROKER and one["status"] == 200 for one in front.requests())
        flows = [flow for address in (VOLUNTEER4, VOLUNTEER6) for _, flow in capture.sent(address, 0)]
        assert flows, f"no WebRTC; see {volunteer.directory}"
        assert {flow.src for flow in flows} <= {WAN4, WAN6}, "WebRTC tries each address of the box, its home's too"
    verdict = capture.stop()
    assert verdict.clean, str(verdict)


@pytest.mark.needs("webtunnel")
def test_over_webtunnel_tor_comes_up_and_only_a_web_site_is_seen(lab: Lab, tor: TorNet, censored: None) -> None:
    """Both ends are the real ones, from Debian 14's package; the site is nginx."""
    site = webtunnel.start_webtunnel(lab.net, lab.ca, (BRIDGE4, BRIDGE_PORT))
    capture = lab.capture([webtunnel.HTTPS, *RESOLVERS])
    with Box(lab, [], extra=entry(site.line(tor.fingerprint))) as box:
        print(f"seconds to come up over webtunnel: {box.wait_open('tor', SLOWEST):.1f}")
        answer = lab.phone.curl("https://blocked.example/ip", "-4", timeout=30)
        assert answer.stdout.strip() == RELAYS4, answer.stderr
        assert fetched(lab) == MEGABYTE
        assert capture.sent(webtunnel.ADDRESS4, 0)
    assert site.visits()
    verdict = capture.stop()
    assert verdict.clean, str(verdict)


@pytest.fixture
def unaided(lab: Lab) -> Iterator[str]:
    """A webtunnel bridge's line, on a box that has neither of the programs for it."""
    there = [program for name in HELPERS["webtunnel"] if (program := shutil.which(name, path=PATH))]
    for program in there:
        lab.router.sh(f"mount --bind /dev/null {program}")
    yield f"webtunnel [2001:db8:113::99]:443 {'AB' * 20} url=https://w.example/x ver=0.0.1"
    for program in there:
        lab.router.sh(f"umount {program}")


def test_where_webtunnels_program_is_missing_the_owner_is_told_and_other_bridges_carry(lab: Lab, tor: TorNet, unaided: str) -> None:
    with Box(lab, [], extra=entry(unaided, tor.obfs4)) as box:
        print(f"seconds to come up beside a bridge without its program: {box.wait_open('tor', SLOWEST):.1f}")
        [said] = [one for one in box.status()["problems"] if one["code"] == "helper"]
        assert "webtunnel bridges: package webtunnel or lyrebird" in said["title"]
        assert lab.phone.curl("https://blocked.example/ip", "-4", timeout=30).stdout.strip() == RELAYS4


def test_where_all_bridges_need_it_the_transport_says_so(lab: Lab, unaided: str) -> None:
    with Box(lab, [], extra=entry(unaided)) as box:
        box.wait(lambda status: "package webtunnel" in str(status["transports"][0]["last_error"]), 10, "what is missing")
        assert box.status()["transports"][0]["state"] == "down"
