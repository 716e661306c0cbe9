"""What this machine's kernel lacks and a Debian kernel has: WireGuard, netem, and tables with and without `persist`."""

import os
import time
from collections.abc import Callable

from tests.lab.box import Box
from tests.lab.household import Load, udp_answer
from tests.lab.lab import Lab
from tests.lab.net import PATIENCE
from tests.lab.topology import SITE

RELEASE = tuple(int(part) for part in os.uname().release.split("-")[0].split("+")[0].split(".")[:2])
CAN_LOCK = RELEASE >= (6, 9)
SITE4, SITE6 = SITE["blocked.example"].address4, SITE["blocked.example"].address6
LONG = 20  # seconds; patience multiplies it


def _through(lab: Lab, seen: dict[str, str]) -> bool:
    """TCP and UDP, v4 and v6, leave at this server."""
    return all(
        lab.phone.curl("https://blocked.example/ip", family, timeout=15).stdout.strip() == address
        for family, address in seen.items()
    ) and all(b"hello" in udp_answer(lab.phone, address, 7, timeout=5) for address in (SITE4, SITE6))


def _comes_through(lab: Lab, name: str, seconds: float = 40 * PATIENCE) -> float:
    """Until all of it does; how long that took."""
    server = lab.server(name)
    start = time.monotonic()
    while not _through(lab, {"-4": server.address4, "-6": server.address6}):
        assert time.monotonic() - start < seconds, f"the household does not get through {name}"
    return time.monotonic() - start


def _load(lab: Lab) -> Load:
    """As much as an emulated machine can carry."""
    return Load(lab, udp_pps=100, tcp_per_s=2, dns_per_s=2, v6_pps=40)


def _leaks(lab: Lab, name: str, fault: Callable[[], object], settled: Callable[[], object]) -> list[str]:
    """What the ISP's wire shows that it should not, from before the fault until the household is served again."""
    capture = lab.capture([lab.server(name)])
    fault()
    settled()
    return [str(leak) for leak in capture.stop().leaks]


def _problems(box: Box) -> list[str]:
    return [problem["code"] for problem in box.status()["problems"]]


def _interface(lab: Lab) -> str:
    (line,) = lab.router.sh("ip -o link show type wireguard").splitlines()
    return line.split(": ")[1]


def test_the_kernels_own_wireguard_carries_the_household_and_no_fault_leaks(lab: Lab) -> None:
    with Box(lab, ["wireguard"]) as box:
        print(f"open after {box.wait_open('wireguard', LONG):.1f} s")
        assert _interface(lab).startswith("cw-")
        assert box.children("wireguard-go") == []
        served = lambda: _comes_through(lab, "wireguard")  # noqa: E731
        served()
        with _load(lab) as load:
            assert _leaks(lab, "wireguard", lambda: None, served) == []
            answered = dict(load.counts().answered)
            assert answered.get("udp4", 0) > 0 and answered.get("udp6", 0) > 0 and answered.get("tls", 0) > 0, answered
            flushed = lambda: lab.router.sh("nft flush ruleset")  # noqa: E731
            assert _leaks(lab, "wireguard", flushed, served) == []
            deleted = lambda: lab.router.sh(f"ip link del {_interface(lab)}")  # noqa: E731
            assert _leaks(lab, "wireguard", deleted, served) == []
        assert _interface(lab).startswith("cw-")
        assert box.children("wireguard-go") == []


def test_the_guard_is_locked_where_the_kernel_can_and_said_to_be_unlocked_elsewhere(lab: Lab) -> None:
    with Box(lab, ["ss2022"]) as box:
        box.wait_open("ss2022", LONG)
        tables = lab.router.sh("nft list tables")
        assert "clearway" in tables
        assert ("guard_unlocked" in _problems(box)) is not CAN_LOCK
        assert lab.router.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
        served = lambda: _comes_through(lab, "ss2022")  # noqa: E731
        served()
        with _load(lab):
            assert _leaks(lab, "ss2022", lambda: lab.router.sh("nft flush ruleset"), served) == []


def test_a_slow_and_lossy_line_is_no_reason_to_switch(lab: Lab) -> None:
    with Box(lab, ["ss2022", "trojan"]) as box:
        box.wait_warm(2, LONG)
        box.wait_open("ss2022", LONG)
        lab.isp.sh("tc qdisc add dev cust0 root netem delay 200ms loss 5%")
        try:
            start = time.monotonic()
            while time.monotonic() - start < 30:
                status = box.status()
                assert (status["phase"], status["active"]) == ("open", "ss2022"), status
                time.sleep(1)
            assert lab.phone.curl("https://blocked.example/ip", "-4", timeout=15).returncode == 0
        finally:
            lab.isp.sh("tc qdisc del dev cust0 root")
