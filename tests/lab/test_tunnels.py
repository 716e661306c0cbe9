"""Tunnels whose engines address them as their server says: what is taken of that, and what is not."""

from pathlib import Path

import pytest

from .box import Box
from .fault import prove_the_detector
from .lab import Lab

SERVERS = ["openvpn", "openvpn-tcp"]


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
