"""Tunnels whose engines address them as their server says: what is taken of that, and what is not."""

import time
from pathlib import Path

import pytest

from .box import Box
from .capture import Allowed, Capture
from .dhcp import Lease, dhcp_client, isp_leases, renew
from .fault import prove_the_detector
from .household import Pulse
from .internet import start_other_isp_resolver
from .lab import Lab
from .net import wait_until
from .topology import ISP_RESOLVER4, TUNNEL_DOMAIN

SERVERS = ["openvpn", "openvpn-tcp", "iodine", "ss2022"]


@pytest.mark.parametrize("kind", ["openvpn", "openvpn-tcp"])
def test_an_openvpn_file_carries_the_household_both_families_and_nothing_else_leaves(lab: Lab, kind: str) -> None:
    server = lab.server(kind)
    prove_the_detector(lab)
    capture = lab.capture([server], bulk=True)
    with Box(lab, [kind]) as box:
        box.wait_open(kind)
        for flag, seen in (("-4", server.address4), ("-6", server.address6)):
            answer = lab.phone.curl("https://blocked.example/ip", flag)
            assert answer.stdout.strip() == seen, answer.stderr
        blob = lab.phone.curl("https://blocked.example/blob/10000000", "-o", "/dev/null", "-w", "%{size_download}")
        assert blob.stdout == "10000000"
        addresses = lab.router.sh("ip -o addr show dev cw-1 scope global")
        assert "10.8.0.2/32" in addresses and "/128" in addresses and "/24" not in addresses, addresses
        routes = lab.router.sh("ip route; ip -6 route")
        assert "cw-1" not in routes.replace("dev cw-1 proto kernel metric 256 pref medium", ""), routes
        (pid,) = box.children("openvpn --config stdin")
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert status["Uid"].split()[0] != "0" and status["NoNewPrivs"] == "1"
        box.stop()
        server.stop()  # else it pings whom it knew, while the next run's firewall is off
    verdict = capture.stop()
    assert verdict.clean, str(verdict)


@pytest.mark.parametrize("asked", ["the server itself", "the provider's resolver"])
def test_a_dns_tunnel_carries_what_travels_inside_and_nothing_else_leaves(lab: Lab, asked: str) -> None:
    server, inner = lab.server("iodine"), lab.server("ss2022")
    resolver = ISP_RESOLVER4 if asked == "the provider's resolver" else server.address4
    prove_the_detector(lab)
    capture = lab.capture([Allowed(resolver, "udp", 53)], bulk=True)
    with Box(lab, ["ss2022", "iodine"], at={"iodine": resolver}, via={"ss2022": "iodine"}) as box:
        took = box.wait_open("ss2022", 60)
        # A name may take longer by this way than its asker waits; it asks again, as any app does.
        again = ("--retry", "3", "--retry-all-errors", "--retry-delay", "1")
        answer = lab.phone.curl("https://blocked.example/ip", "-4", "-m", "20", *again, timeout=100)
        assert answer.stdout.strip() == inner.address4, answer.stderr
        rate = lab.phone.curl("https://blocked.example/blob/256000", "-o", "/dev/null", "-w", "%{size_download} %{speed_download}", "-m", "60")
        size, speed = rate.stdout.split()
        print(f"through {asked}: open after {took:.1f} s, {int(speed) / 1000:.0f} KB/s down")
        assert size == "256000", rate.stderr
        addresses = lab.router.sh("ip -o addr show dev cw-2 scope global")
        assert "10.53.0." in addresses and "/32" in addresses and "/27" not in addresses, addresses
        (pid,) = box.children("iodine.py")
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert status["Uid"].split()[0] != "0" and status["NoNewPrivs"] == "1"
        assert server.recipe.inbound["password"] not in Path(f"/proc/{pid}/cmdline").read_text()
        box.stop()
    verdict = capture.stop()
    assert verdict.clean, str(verdict)


OTHER_RESOLVER4, BACK = "198.51.100.252", 15.0  # seconds from a new lease to service


def by_the_lines_resolver(lab: Lab) -> str:
    """The settings: a transport inside a DNS tunnel that names no resolver."""
    password = lab.server("iodine").recipe.inbound["password"]
    inner = f'[[transport]]\nname = "inner"\nuri = "{lab.server("ss2022").link}"\nvia = "tunnel"\n'
    return f'{inner}[[transport]]\nname = "tunnel"\nuri = "iodine://{password}@{TUNNEL_DOMAIN}"\n'


def test_the_lines_own_resolver_is_asked_and_a_new_lease_moves_the_tunnel_to_another(lab: Lab) -> None:
    """The last of this file: the line stays with what it has got, and the ISP's first resolver stays dead."""
    inner = lab.server("ss2022")
    start_other_isp_resolver(lab.domestic, lab.names, OTHER_RESOLVER4)
    prove_the_detector(lab)
    with dhcp_client(lab.router, "wan0", names=True), isp_leases(lab.isp, Lease()) as leasing:
        wait_until(lambda: ISP_RESOLVER4 in lab.router.sh("cat /etc/resolv.conf"), 20, "a lease with a resolver")
        capture = lab.capture([Allowed(place, "udp", 53) for place in (ISP_RESOLVER4, OTHER_RESOLVER4)], bulk=True)
        with Box(lab, [], extra=by_the_lines_resolver(lab), sources=()) as box:
            took = box.wait_open("inner", 60)
            assert lab.phone.curl("https://blocked.example/ip", "-4", "-m", "20").stdout.strip() == inner.address4
            leasing.kill()
            leasing.wait(5)
            with isp_leases(lab.isp, Lease(dns=(OTHER_RESOLVER4,))):
                asked, without = moved(lab, capture)
            print(f"open after {took:.1f} s; the new one is asked {asked:.1f} s after the lease; {without:.1f} s without service")
            assert without < BACK
            (_,) = box.children("iodine.py")
            box.stop()
        verdict = capture.stop()
    assert verdict.clean, str(verdict)


def moved(lab: Lab, capture: Capture) -> tuple[float, float]:
    """The old resolver ends with its lease. Seconds until the other is asked, and the longest time without service."""
    with Pulse(lab, "https://blocked.example/", interval=0.5, timeout=3) as pulse:
        pulse.wait_ok(10)
        assert lab.censor.resolver
        lab.censor.resolver.kill()
        began = time.time()
        renew(lab.router, "wan0")
        wait_until(lambda: bool(capture.sent(OTHER_RESOLVER4, began)), BACK, "the new resolver is asked", 0.1)
        asked = time.time() - began
        pulse.wait_ok(2 * BACK)
        return asked, pulse.longest()
