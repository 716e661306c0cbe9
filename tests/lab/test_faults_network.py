"""The fault catalogue, the network: each fault under load and under capture. Scans have a file of their own."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .box import Box
from .dhcp import Lease, dhcp_client, has_lease, isp_leases, static_wan
from .fault import ROOT, SERVERS, SITE, scene, through
from .lab import Lab
from .net import wait_until

__all__ = ["SERVERS"]


def test_fault_16_the_wan_flaps_once_and_then_twenty_times(lab: Lab, box: Box) -> None:
    switches = lambda: [line["text"] for line in box.ask("GET", "/log")["journal"] if line["kind"] == "switch"]  # noqa: E731
    before = switches()
    with scene(lab, box):
        for times in (1, 20):
            for _ in range(times):
                lab.router.sh("ip link set wan0 down; sleep 0.3; ip link set wan0 up")
                static_wan(lab.router)
                time.sleep(0.2)
            began = time.monotonic()
            wait_until(lambda: box.status()["phase"] == "open" and through(lab), 4.8, "the household is through again")
            print(f"through {time.monotonic() - began + 0.2:.1f} s after the line came back")
    assert switches() == before


@contextmanager
def _leased(lab: Lab, lease: Lease) -> Iterator[None]:
    with isp_leases(lab.isp, lease), dhcp_client(lab.router, "wan0"):
        wait_until(lambda: has_lease(lab.router, "wan0", lease.address), 15, "the router has a lease")
        yield


def test_fault_17_the_isp_leases_another_address_and_then_our_own_subnet(lab: Lab, proxy: Box) -> None:
    gateway = "192.168.77.254"
    own = Lease("192.168.77.55", gateway=gateway, isp_address=gateway)
    try:
        with scene(lab, proxy):
            with _leased(lab, Lease("100.64.7.77")):
                wait_until(lambda: through(lab), 8, "through with another address")
            with _leased(lab, own):
                proxy.wait(lambda s: any(p["code"] == "overlap" for p in s["problems"]), 5)
                assert "br-lan" in lab.router.sh("ip route get 192.168.77.11")
                time.sleep(2)  # whatever the household sends now, the capture is the judge
            with _leased(lab, Lease()):
                proxy.wait(lambda s: all(p["code"] != "overlap" for p in s["problems"]), 5)
                wait_until(lambda: through(lab), 8, "through with the first address")
    finally:
        lab.isp.sh(f"ip addr del {gateway}/24 dev cust0 2>/dev/null || true")
        static_wan(lab.router)


def test_fault_18_an_isp_whose_dhcp_draws_everything_to_itself(lab: Lab, box: Box) -> None:
    server = lab.server(box.transports[0])
    lease = Lease(routes=(("0.0.0.0/1", "100.64.7.1"), ("128.0.0.0/1", "100.64.7.1"), (f"{server.address4}/32", "100.64.7.1"),
                          ("192.168.77.0/25", "100.64.7.1"), ("0.0.0.0/0", "100.64.7.1")))
    try:
        with scene(lab, box), _leased(lab, lease):
            wait_until(lambda: "128.0.0.0/1" in lab.router.sh("ip route"), 5, "the routes of option 121 are in")
            wait_until(lambda: through(lab), 20, "the household is through")
            time.sleep(2)
    finally:
        static_wan(lab.router)


def test_fault_27_clients_with_resolvers_of_their_own_and_quic(lab: Lab, box: Box) -> None:
    with scene(lab, box):
        assert lab.phone.dig("blocked.example", "A", "8.8.8.8") == [SITE]
        for port in ("853", "443"):
            lab.phone.run(["curl", "-sk", "-m", "1", f"https://8.8.8.8:{port}/"], check=False)
        lab.phone.sh("for p in 443 3478 19302; do echo x | timeout 1 nc -u -w1 8.8.8.8 $p || true; done 2>/dev/null || true")


def test_fault_28_sources_that_are_not_the_households(lab: Lab, box: Box) -> None:
    server = lab.server(box.transports[0])
    with scene(lab, box):
        for source in ("192.168.77.99", "192.168.77.1", "100.64.7.2", "127.0.0.1", "10.9.0.2", "8.8.4.4"):
            lab.tv.run([sys.executable, "-c", SPOOF, source, server.address4, str(server.port), lab.token])
        lab.tv.run(["curl", "-s", "-m", "1", f"http://{server.address4}:{server.port}/"], check=False)


SPOOF = """
import socket, struct, sys
source, server, port, token = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4].encode()
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for target, at in ((server, port), ("198.51.100.10", 443), ("100.64.7.1", 53)):
    udp = struct.pack("!HHHH", 4321, at, 8 + len(token), 0) + token
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 7, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(target))
    for _ in range(20):
        raw.sendto(head + udp, (target, at))
"""
INNER = ("192.168.77.1", "192.168.77.11", "10.9.0.2")


def test_fault_29_the_wan_side_asks_for_inner_addresses(lab: Lab, box: Box) -> None:
    """By ARP, by connecting, and by SYN/ACKs that a connection in a tunnel would answer (CVE-2019-14899)."""
    with scene(lab, box):
        lab.isp.sh("ip route replace 10.9.0.2 via 100.64.7.2; ip -6 route replace fd09::/64 via 2001:db8:7::2")
        try:
            for address in INNER:
                done = lab.isp.run(["arping", "-c", "2", "-w", "1", "-I", "cust0", address], check=False)
                assert "1 response" not in done.stdout and done.returncode != 0, done.stdout + done.stderr
            urls = " ".join(f"http://{address}:{{53,80,8080}}/" for address in (*INNER, "[fd77:77:77::1]", "[fd77:77:77::11]", "[fd09::2]"))
            done = lab.isp.sh(f"curl -s -Z -m 0.5 -w '%{{exitcode}} ' {urls} || true")
            assert done.split() == ["28"] * 18, "silence"
            lab.isp.run([sys.executable, "-c", SYN_ACK, "203.0.113.9", *INNER, "100.64.7.2"], cwd=ROOT)
        finally:
            lab.isp.sh("ip route del 10.9.0.2; ip -6 route del fd09::/64")


SYN_ACK = """
import socket, struct, sys
from tests.lab.packets import checksum
source = socket.inet_aton(sys.argv[1])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for target in sys.argv[2:]:
    to = socket.inet_aton(target)
    for port in (443, 12301, *range(32768, 61000, 97)):
        tcp = lambda total: struct.pack("!HHIIBBHHH", 443, port, 1, 1, 0x50, 0x12, 64240, total, 0)
        total = checksum(source + to + struct.pack("!BBH", 0, 6, 20) + tcp(0))
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 7, 0, 64, 6, 0, source, to)
        raw.sendto(head + tcp(total), (target, 0))
"""
