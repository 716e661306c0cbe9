"""Each censor does what it says, seen from the phone behind a router that only forwards."""

import socket
import ssl
import time

import pytest

from tests.lab import Lab, Load, poison, topology, udp_answer, wait_until
from tests.lab.censor import (
    dns_lies,
    freeze_after,
    host_reset,
    ip_drop,
    loss,
    national_network,
    port_drop,
    quic_drop,
    reset_injected,
    sni_blackhole,
    sni_reset,
    throttle,
    throttle_flows,
    total_outage,
    udp_drop,
)
from tests.lab.net import Host
from tests.lab.topology import RESOLVERS4, SITE

BLOCKED, OPEN = SITE["blocked.example"], SITE["open.example"]
RESET, TIMEOUT = 35, 28  # curl's exit codes: TLS connect error (reset in the handshake), time-out


def test_dns_lies_are_faster_than_the_truth_wherever_one_asks(plain: Lab) -> None:
    servers = (*RESOLVERS4, "198.51.100.253")
    with plain.censor(dns_lies(["blocked.example"])):
        for server in servers:
            assert plain.phone.dig("www.blocked.example", "A", server) == ["198.51.100.250"]
            assert plain.phone.dig("blocked.example", "AAAA", server) == ["2001:db8:5d::250"]
            assert plain.phone.dig("open.example", "A", server) == [OPEN.address4]
        assert plain.domestic.dig("blocked.example", "A", "198.51.100.253") == ["198.51.100.250"]
    with plain.censor(dns_lies(["blocked.example"], ["10.0.0.1"])):
        assert plain.phone.dig("blocked.example", "AAAA", servers[0]) == []
    for server in servers:
        assert plain.phone.dig("blocked.example", "A", server) == [BLOCKED.address4]


@pytest.mark.parametrize("reassemble", [False, True])
def test_sni_reset_hits_only_the_listed_names(plain: Lab, reassemble: bool) -> None:
    with plain.censor(sni_reset(["blocked.example"], reassemble)):
        for family in ("-4", "-6"):
            done = plain.phone.curl("https://blocked.example/", family)
            assert done.returncode == RESET and "reset" in done.stderr.lower(), done
            assert plain.phone.curl("https://open.example/", family).returncode == 0
            assert plain.phone.curl("http://blocked.example/", family).returncode == 0
    assert plain.phone.curl("https://blocked.example/").returncode == 0


def split_hello(lab: Lab) -> bytes:
    """The site's answer to a ClientHello that comes in three segments, cut in the middle of the name."""
    out = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="blocked.example")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = out.read()
    cut = hello.index(b"blocked") + 3

    def send() -> bytes:
        with socket.create_connection((BLOCKED.address4, 443), timeout=1) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in (hello[:5], hello[5:cut], hello[cut:]):
                sock.sendall(part)
                time.sleep(0.02)
            try:
                return sock.recv(100)
            except OSError:
                return b""

    return lab.phone.call(send)


def test_only_the_reassembling_dpi_sees_a_name_split_over_segments(plain: Lab) -> None:
    with plain.censor(sni_reset(["blocked.example"])):
        assert split_hello(plain)
    with plain.censor(sni_reset(["blocked.example"], reassemble=True)):
        assert not split_hello(plain)
    with plain.censor(sni_blackhole(["blocked.example"], reassemble=True)):
        assert not split_hello(plain)


def test_sni_blackhole_swallows_the_flow_in_silence(plain: Lab) -> None:
    with plain.censor(sni_blackhole(["blocked.example"])):
        assert plain.phone.curl("https://blocked.example/", timeout=1).returncode == TIMEOUT
        assert plain.phone.curl("https://open.example/").returncode == 0
    assert plain.phone.curl("https://blocked.example/").returncode == 0


def test_host_reset_hits_http_and_not_tls(plain: Lab) -> None:
    with plain.censor(host_reset(["blocked.example"])):
        assert "reset" in plain.phone.curl("http://blocked.example/").stderr.lower()
        assert plain.phone.curl("http://open.example/").returncode == 0
        assert plain.phone.curl("https://blocked.example/").returncode == 0


def test_ip_drop_and_port_drop_are_silent_and_exact(plain: Lab) -> None:
    with plain.censor(ip_drop([BLOCKED.address4, BLOCKED.address6])):
        assert plain.phone.curl("https://blocked.example/", timeout=1).returncode == TIMEOUT
        assert plain.phone.curl("https://open.example/").returncode == 0
    with plain.censor(port_drop("tcp", 80)):
        assert plain.phone.curl("http://blocked.example/", timeout=1).returncode == TIMEOUT
        assert plain.phone.curl("https://blocked.example/").returncode == 0


def test_udp_drop_and_quic_drop_spare_what_they_should(plain: Lab) -> None:
    with plain.censor(quic_drop()):
        assert not udp_answer(plain.phone, BLOCKED.address4, 443)
        assert udp_answer(plain.phone, BLOCKED.address4, 7)
    with plain.censor(udp_drop()):
        assert not udp_answer(plain.phone, BLOCKED.address6, 7)
        assert plain.phone.dig("blocked.example", "A", RESOLVERS4[0])
    assert udp_answer(plain.phone, BLOCKED.address4, 443)


def test_throttle_slows_one_address_only(plain: Lab) -> None:
    def speed(name: str) -> float:
        args = ("-4", "-o", "/dev/null", "-w", "%{speed_download}")
        return float(plain.phone.curl(f"https://{name}/blob/10000000", *args, timeout=4).stdout)

    with plain.censor(throttle(BLOCKED.address4, 800)):
        assert 10_000 < speed("blocked.example") < 130_000
        assert speed("open.example") > 1_000_000


def test_throttle_flows_lets_each_flow_begin_and_then_crawl(plain: Lab) -> None:
    with plain.censor(throttle_flows([BLOCKED.address4, BLOCKED.address6], 2000)):
        for _ in range(10):
            assert plain.phone.curl("http://blocked.example/blob/1000", "-4").returncode == 0
        for family in ("-4", "-6"):
            args = (family, "-o", "/dev/null", "-w", "%{size_download}")
            done = plain.phone.curl("http://blocked.example/blob/256000", *args, timeout=2)
            assert done.returncode == TIMEOUT and 0 < int(done.stdout) < 30_000, done
            assert plain.phone.curl("http://open.example/blob/256000", *args).returncode == 0
    assert plain.phone.curl("http://blocked.example/blob/256000", "-o", "/dev/null").returncode == 0


def test_freeze_after_lets_the_beginning_through(plain: Lab) -> None:
    with plain.censor(freeze_after(20_000)):
        assert plain.phone.curl("http://blocked.example/blob/1000").returncode == 0
        done = plain.phone.curl("http://blocked.example/blob/1000000", "-o", "/dev/null", timeout=1.5)
        assert done.returncode == TIMEOUT


def test_loss_takes_its_share(plain: Lab) -> None:
    with plain.censor(loss(30)), Load(plain, udp_pps=1000, tcp_per_s=0, dns_per_s=0, v6_pps=0) as load:
        time.sleep(2)
    counts = load.counts()
    assert 0.4 < counts.answered["udp4"] / counts.sent["udp4"] < 0.58  # 0.7 there, 0.7 back


def test_a_total_outage_and_a_national_network_leave_what_they_say(plain: Lab) -> None:
    with plain.censor(total_outage()):
        assert plain.phone.curl("https://198.51.100.200/", timeout=0.7).returncode == TIMEOUT
    with plain.censor(national_network()):
        assert plain.phone.curl("https://198.51.100.200/").returncode == 0
        assert plain.phone.curl(f"https://{OPEN.address4}/", timeout=0.7).returncode == TIMEOUT


def test_an_injected_reset_ends_flows_that_are_already_open(plain: Lab) -> None:
    with plain.phone.popen(["curl", "-sS", f"http://{BLOCKED.address4}/slow", "-o", "/dev/null"], log="slow") as child:
        time.sleep(0.5)
        with plain.censor(reset_injected(BLOCKED.address4)):
            assert child.wait(5) != 0
            assert plain.phone.curl(f"http://{BLOCKED.address4}/").returncode in (7, 56)


def test_censors_compose_and_switch_one_by_one(plain: Lab) -> None:
    first, second = sni_reset(["blocked.example"]), sni_reset(["open.example"])
    plain.censor.on(first, second, ip_drop([SITE["probe.example"].address4]))
    plain.censor.off(first)
    assert plain.phone.curl("https://blocked.example/").returncode == 0
    assert plain.phone.curl("https://open.example/").returncode == RESET
    assert plain.phone.curl("https://probe.example/", "-4", timeout=0.7).returncode == TIMEOUT


def test_an_unplugged_line_has_no_carrier_and_comes_back_whole(plain: Lab) -> None:
    topology.unplug(plain.isp)
    assert "NO-CARRIER" in plain.router.sh("ip link show wan0")
    topology.plug(plain.isp)
    for family in ("-4", "-6"):
        wait_until(lambda f=family: plain.phone.curl("http://blocked.example/", f, timeout=3).returncode == 0, 10, family)


def test_a_poisoned_exit_is_lied_to_over_doh_and_nobody_else(lab: Lab) -> None:
    server, bystander = lab.server("ss2022").host, lab.sites
    poison.prepare(lab, ["canary.example"], ["198.51.100.250"])

    def asked(by: Host) -> list[str]:
        return by.dig("x.canary.example", "A", RESOLVERS4[1], "+https", f"+tls-ca={lab.ca_file}")

    with poison.poisoned(lab, lab.server("ss2022").address4):
        assert asked(server) == ["198.51.100.250"]
        assert server.dig("open.example", "A", RESOLVERS4[0]) == [OPEN.address4]
        assert asked(bystander) == [BLOCKED.address4]
    assert asked(server) == [BLOCKED.address4]
