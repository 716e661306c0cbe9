"""The lab's own tests: the detector sees, sites, resolvers and servers work, nothing is left behind."""

import base64
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab import (
    KINDS,
    Allowed,
    Lab,
    Load,
    Pulse,
    anti_test,
    keeper,
    plain_router,
    udp_answer,
    upstreams,
    wait_until,
)
from tests.lab.capture import SHARED_MEMORY
from tests.lab.censor import total_outage
from tests.lab.clients import plain_client
from tests.lab.dhcp import Lease, dhcp_client, has_lease, isp_leases
from tests.lab.recipes import RECIPES
from tests.lab.topology import RESOLVERS4, SITE

BLOCKED, OPEN = SITE["blocked.example"], SITE["open.example"]
TIMEOUT = 28  # curl's exit code


def test_the_detector_reports_every_kind_of_leak(lab: Lab) -> None:
    assert anti_test(lab) >= KINDS | {"canary"}


def test_the_control_experiment_leaves_the_router_unset(lab: Lab) -> None:
    before = lab.router.sh("ip -o addr; ip route; ip -6 route; nft list ruleset; cat /proc/sys/net/ipv4/ip_forward")
    anti_test(lab)
    after = lab.router.sh("ip -o addr; ip route; ip -6 route; nft list ruleset; cat /proc/sys/net/ipv4/ip_forward")
    assert after == before


def test_a_silent_router_is_clean_and_its_allowed_upstream_too(lab: Lab) -> None:
    capture = lab.capture(allowed=[Allowed(OPEN.address4, "tcp", 443)])
    lab.router.curl(f"https://{OPEN.address4}/")
    verdict = capture.stop()
    assert verdict.clean and verdict.router_frames > 5, verdict


@pytest.mark.parametrize("kind", ["plain", "base64", "hex"])
def test_the_canary_is_found_in_what_is_allowed(lab: Lab, kind: str) -> None:
    raw = lab.token.encode()
    token = {"plain": lab.token, "base64": base64.b64encode(b"x" + raw + b"yz").decode(), "hex": raw.hex()}[kind]
    capture = lab.capture(allowed=[Allowed(OPEN.address4, "tcp", 80)])
    lab.router.curl(f"http://{OPEN.address4}/?{token}")
    assert capture.stop().kinds == {"canary"}


def test_answers_to_a_scan_from_the_isp_are_leaks(lab: Lab) -> None:
    capture = lab.capture()
    lab.isp.run(["ping", "-c", "1", "-W", "1", "100.64.7.2"])
    lab.isp.run(["curl", "-s", "--max-time", "1", "http://100.64.7.2/"], check=False)
    assert {(leak.kind, leak.dst) for leak in capture.stop().leaks} == {("icmp", "100.64.7.1"), ("tcp", "100.64.7.1")}


def test_the_capture_keeps_up_with_ten_thousand_packets_per_second(plain: Lab) -> None:
    capture = plain.capture()
    with Load(plain, udp_pps=10_000, tcp_per_s=0, dns_per_s=0, v6_pps=0) as load:
        time.sleep(3)
    verdict = capture.stop()
    seen = sum(leak.count for leak in verdict.leaks if leak.kind == "udp" and leak.dst == BLOCKED.address4)
    sent = load.counts().sent["udp4"] - load.counts().refused.get("udp4", 0)
    assert seen == sent > 25_000, verdict


def test_the_load_is_answered_in_every_kind(plain: Lab) -> None:
    with Load(plain, dns_servers=RESOLVERS4) as load:
        time.sleep(2)
    counts = load.counts()
    assert set(counts.sent) == {"udp4", "udp6", "http", "tls", "dns"}
    for kind, sent in counts.sent.items():
        assert counts.answered[kind] >= 0.9 * sent > 9, (kind, counts)
    assert counts.answers_between("udp4", counts.began + 0.5, counts.began + 1.5) > 500


def test_a_pulse_measures_the_time_without_service(plain: Lab) -> None:
    with Pulse(plain, interval=0.1, timeout=0.5) as pulse:
        pulse.wait_ok(5)
        with plain.censor(total_outage()):
            time.sleep(1.5)
        pulse.wait_ok(5)
    assert len(pulse.gaps(1.0)) == 1 and 1.3 < pulse.longest() < 4, pulse.beats


def test_every_site_is_reachable_by_name_both_families_and_in_both_schemes(plain: Lab) -> None:
    for site in SITE.values():
        for family in ("-4", "-6"):
            for scheme in ("http", "https"):
                page = plain.phone.curl(f"{scheme}://{site.name}/", family)
                assert plain.page_token(site.name) in page.stdout, page
    assert plain.phone.curl("https://blocked.example/ip", "-4").stdout.strip() == "192.168.77.11"
    done = plain.phone.curl("https://probe.example/generate_204", "-w", "%{http_code} %{size_download}")
    assert done.stdout == "204 0"
    blob = plain.phone.curl("https://blocked.example/blob/10000000", "-o", "/dev/null", "-w", "%{size_download}")
    assert blob.stdout == "10000000"
    slow = plain.phone.curl("http://blocked.example/slow", "-o", "/dev/null", "-w", "%{size_download}", timeout=2)
    assert slow.returncode == TIMEOUT and 16_000 < int(slow.stdout) < 100_000


def test_the_resolvers_speak_do53_dot_and_doh_and_their_certificates_name_addresses(plain: Lab) -> None:
    for server in RESOLVERS4:
        assert plain.phone.dig("blocked.example", "A", server) == [BLOCKED.address4]
        assert plain.phone.dig("blocked.example", "AAAA", server, "+tcp") == [BLOCKED.address6]
        assert plain.phone.dig("x.y.canary.example", "A", server) == [BLOCKED.address4]
        doh = plain.phone.curl("https://blocked.example/", "--doh-url", f"https://{server}/dns-query", "-4")
        assert plain.page_token("blocked.example") in doh.stdout, doh
        hello = ["openssl", "s_client", "-connect", f"{server}:853", "-verify_ip", server, "-verify_return_error"]
        assert "Verify return code: 0" in plain.phone.run(hello).stdout


def test_the_udp_service_answers_with_the_payload_and_the_peers_address(plain: Lab) -> None:
    token = plain.page_token("udp").encode()
    assert udp_answer(plain.phone, BLOCKED.address4) == token + b" 192.168.77.11 hello"
    assert udp_answer(plain.phone, BLOCKED.address6, 7) == token + b" fd77:77:77::11 hello"


@pytest.mark.parametrize("name", RECIPES)
def test_a_server_carries_a_page_both_families_and_shows_its_own_address(plain: Lab, name: str) -> None:
    server = plain.server(name)
    for to in (server.address4, server.address6):
        with plain_client(plain, server, to) as proxy:
            families = (("4", server.address4), ("6", server.address6))
            for family, seen in families[:1] if name == "socks4" else families:
                address = BLOCKED.address4 if family == "4" else f"[{BLOCKED.address6}]"
                pin = ("--proxy", proxy, "--connect-to", f"blocked.example:443:{address}:443")
                page = plain.phone.curl("https://blocked.example/", *pin)
                assert plain.page_token("blocked.example") in page.stdout, (page, name)
                assert plain.phone.curl("https://blocked.example/ip", *pin).stdout.strip() == seen


def test_links_carry_the_host_part_that_is_asked_for(lab: Lab) -> None:
    for name in RECIPES:
        server = lab.server(name)
        for host in (server.address4, server.address6, server.hostname):
            link = server.link_to(host)
            text = base64.b64decode(link.removeprefix("vmess://")).decode() if name == "vmess-ws" else link
            assert host in text and str(server.port) in text
        assert server.link == server.link_to(server.address4)


def test_a_server_that_is_stopped_and_started_again_takes_the_same_link(plain: Lab) -> None:
    server = plain.server("ss2022")
    with plain_client(plain, server) as proxy:
        server.stop()
        assert plain.phone.curl("https://blocked.example/", "--proxy", proxy).returncode != 0
        server.start()
        assert plain.phone.curl("https://blocked.example/", "--proxy", proxy).returncode == 0


def test_a_tunnel_shows_no_canary_and_nothing_but_its_upstream() -> None:
    with Lab.up(servers=["vless-reality"]) as lab, plain_router(lab):
        server = lab.server("vless-reality")
        with plain_client(lab, server) as proxy:
            capture = lab.capture(allowed=[server])
            page = lab.phone.curl(f"https://blocked.example/?{lab.token}", "--proxy", proxy)
            verdict = capture.stop()
    assert page.returncode == 0 and verdict.clean and verdict.frames > 10, verdict
    assert upstreams(server)[0] == Allowed(server.address4, "tcp", 443)


def test_two_labs_stand_side_by_side_and_leave_nothing_behind() -> None:
    before = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    with Lab.up() as one, Lab.up(servers=["wireguard"]) as two:
        inodes = [host.inode for lab in (one, two) for host in lab.net.hosts.values()]
        directories = [one.directory, two.directory]
        assert anti_test(two) >= KINDS
        assert len(keeper.processes_in(inodes)) > 30
    assert keeper.processes_in(inodes) == []
    assert not any(directory.exists() for directory in directories)
    assert not [file for d in directories for file in SHARED_MEMORY.glob(f"{d.name}*")]
    assert subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout == before


def test_a_lab_that_is_killed_leaves_nothing_behind_either() -> None:
    script = ("import sys, time; from tests.lab import Lab; lab = Lab.up(); print(lab.directory, "
              "*[host.inode for host in lab.net.hosts.values()], flush=True); time.sleep(60)")
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout
        directory, *inodes = child.stdout.readline().split()
        assert len(keeper.processes_in([int(inode) for inode in inodes])) > 15
        os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: not keeper.processes_in([int(inode) for inode in inodes]), 5, "all processes gone")
    wait_until(lambda: not Path(directory).exists(), 5, "the directory gone")


def test_the_isp_leases_addresses_and_any_route_it_likes() -> None:
    lease = Lease(routes=[("0.0.0.0/1", "100.64.7.1"), ("203.0.113.0/24", "100.64.7.1")])
    with Lab.up() as lab, isp_leases(lab.isp, lease), dhcp_client(lab.router, "wan0"):
        capture = lab.capture()
        wait_until(lambda: has_lease(lab.router, "wan0", "100.64.7.2"), 15, "a lease")
        wait_until(lambda: "0.0.0.0/1 via 100.64.7.1" in lab.router.sh("ip route"), 5, "the route of option 121")
        assert capture.stop().clean


def test_iperf3_runs_through_the_plain_router(plain: Lab) -> None:
    server = plain.iperf_server()
    done = plain.phone.run(["iperf3", "-c", server, "-t", "1", "-f", "m"])
    assert "receiver" in done.stdout
