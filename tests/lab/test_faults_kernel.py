"""The fault catalogue, the kernel's state that we own: each fault under load and under capture. Fault 43 has a file of its own."""

import json
import signal
import sys
import time
from collections.abc import Callable

import pytest

from routerd.host.nft import outline

from .box import Box
from .fault import PUT_BACK, ROOT, SERVERS, SETS, home, scene, through
from .lab import Lab
from .net import wait_until

__all__ = ["SERVERS"]


def _problems(box: Box) -> set[str]:
    return {problem["code"] for problem in box.status()["problems"]}


def test_fault_37_another_program_flushes_the_ruleset_a_hundred_times(lab: Lab, box: Box) -> None:
    """Each time the tables are back within a second, and somebody who looks is told."""
    whole = lambda: outline(lab.router.run(["nft", "-s", "list", "ruleset"]).stdout)  # noqa: E731
    before, slowest = whole(), 0.0
    with scene(lab, box):
        for number in range(100):
            lab.router.run(["nft", "flush", "ruleset"])
            if number % 4:
                time.sleep(0.02)  # flushed again while it is put back
                continue
            began = time.monotonic()
            wait_until(lambda: whole() == before, 1, "the ruleset is back")
            slowest = max(slowest, time.monotonic() - began)
        print(f"back after {slowest * 1000:.0f} ms at most")
        wait_until(lambda: whole() == before, 1, "the ruleset is back")
        assert "tampered" in _problems(box)
        wait_until(lambda: through(lab), 5, "the household is through")


def test_fault_39_another_program_removes_rules_and_routes(lab: Lab, box: Box) -> None:
    show = "for f in -4 -6; do ip $f rule; for t in 51001 51002 51115 51255; do ip $f route show table $t; done; done"
    whole = lambda: lab.router.sh(f"{{ {show}; }} 2>/dev/null || true")  # noqa: E731
    before, slowest = whole(), 0.0
    with scene(lab, box):
        for _ in range(20):
            lab.router.sh(f"ip rule flush; ip -6 rule flush; {PUT_BACK}")
            lab.router.sh("for t in 51001 51002 51115; do ip route flush table $t; ip -6 route flush table $t; done 2>/dev/null || true")
            began = time.monotonic()
            wait_until(lambda: whole() == before, 1, "the rules and routes are back")
            slowest = max(slowest, time.monotonic() - began)
        print(f"back after {slowest * 1000:.0f} ms at most")
        wait_until(lambda: through(lab), 5, "the household is through")


SYSCTLS = {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1", "net/ipv4/conf/all/rp_filter": "2",
           "net/ipv4/conf/wan0/rp_filter": "1", "net/ipv4/conf/wan0/arp_ignore": "0"}


def test_fault_41_another_program_resets_sysctls(lab: Lab, box: Box) -> None:
    values = lambda: lab.router.sh(f"cd /proc/sys; cat {' '.join(SYSCTLS)}")  # noqa: E731
    before = values()
    with scene(lab, box):
        for _ in range(3):
            lab.router.sh("; ".join(f"echo {value} > /proc/sys/{name}" for name, value in SYSCTLS.items()))
            wait_until(lambda: values() == before, 5, "they are put right")
        assert through(lab)


def test_fault_42_ten_thousand_applies_under_load(lab: Lab, proxy: Box) -> None:
    """The daemon's own texts, loaded over themselves by the daemon's own loader, beside the running daemon."""
    texts = []
    for state in proxy.transports:
        argv = [sys.executable, "-m", "routerd", "print", *proxy.arguments, "--state", state]
        text = lab.router.run(argv, cwd=ROOT).stdout
        texts.append(text[text.index("add table inet clearway\n"):])
    assert proxy.daemon
    proxy.daemon.send_signal(signal.SIGSTOP)  # else it would mend what we load, which is right, and count as ours
    try:
        with scene(lab, proxy, pps=2000, bulk=True):
            done = lab.router.run([sys.executable, "-c", APPLY, "10000"], input=json.dumps(texts), cwd=ROOT, timeout=400)
    finally:
        proxy.daemon.send_signal(signal.SIGCONT)
    print(done.stdout)


APPLY = """
import json, sys, time
from routerd.host.nft import Nft
texts, nft, began = json.loads(sys.stdin.read()), Nft(), time.monotonic()
for i in range(int(sys.argv[1])):
    nft.run(texts[i % 2])
print(f"{(time.monotonic() - began) / int(sys.argv[1]) * 1000:.1f} ms each")
"""


def test_fault_44_a_ruleset_that_the_kernel_refuses_changes_nothing(lab: Lab, proxy: Box) -> None:
    """The daemon's own batch: another program made `into_3` a base chain, and no rule may go to one (EOPNOTSUPP)."""
    table = lambda: lab.router.run(["nft", "-s", "list", "table", "inet", "clearway"]).stdout  # noqa: E731
    with scene(lab, proxy, also=[lab.server("wireguard")]):
        lab.router.run(["nft", "add chain inet clearway into_3 { type filter hook input priority 500; }"])
        time.sleep(1)
        before = table()
        assert proxy.ask("POST", "/transports", {"config": lab.server("wireguard").link}) == {"name": "wireguard"}
        proxy.wait(lambda s: any(p["code"] == "ruleset" and "not supported" in p["title"] for p in s["problems"]), 5)
        for _ in range(10):
            assert table() == before
            time.sleep(0.2)
        assert proxy.status()["phase"] == "open"
        assert through(lab)
        lab.router.run(["nft", "delete", "chain", "inet", "clearway", "into_3"])
        proxy.wait(lambda s: all(p["code"] != "ruleset" for p in s["problems"]), 5, "healed")
        assert "goto into_3" in table()
        proxy.wait_warm(2)
        assert through(lab)


def _harm(lab: Lab, harm: str) -> Callable[[], bool]:
    """Does it; whether the link is as it was: there, up, with both addresses, and with its routes."""
    show = "ip -o addr show dev cw-1 up scope global | sed 's/.*inet/inet/; s/ *valid_lft.*//' | sort; ip route show table 51001; ip -6 route show table 51001"
    whole = lambda: lab.router.sh(f"{{ {show}; }} 2>/dev/null || true")  # noqa: E731
    before = whole()
    assert "dev cw-1" in before
    lab.router.sh(harm)
    return lambda: whole() == before


@pytest.mark.parametrize("harm", ["ip link del cw-1", "ip addr flush dev cw-1", "ip link set cw-1 down; ip link set cw-1 name other",
                                  "ip link set cw-1 down"], ids=["deleted", "no address", "renamed", "down"])
def test_fault_45_the_tunnels_interface_goes(lab: Lab, harm: str) -> None:
    with home(lab, SETS["link"]) as box:
        with scene(lab, box):
            whole = _harm(lab, harm)
            began = time.monotonic()
            wait_until(whole, 5, "the link is made anew")
            print(f"made anew after {time.monotonic() - began:.1f} s")
            lab.router.sh("ip link del other 2>/dev/null || true")
            box.wait_warm(2, 20)
            assert through(lab)
