"""The fault catalogue, scans: every port, TCP and UDP, v4 and v6, from the WAN and from the LAN, under load and under capture."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .antitest import plain_router
from .box import Box
from .fault import SERVERS, prove_the_detector, scene, through
from .lab import Lab
from .net import Host, wait_until
from .topology import LAN_ROUTER4, LAN_ROUTER6, WAN4, WAN6

__all__ = ["SERVERS"]
PACE = 7000  # ports a second, one TCP and one UDP packet each: the capture must see them all

SCAN = """
import socket, struct, sys, time
target, first, last, pace = sys.argv[1], *map(int, sys.argv[2:])
family = socket.AF_INET6 if ":" in target else socket.AF_INET
udp, began = socket.socket(family, socket.SOCK_DGRAM), time.monotonic()
for port in range(first, last + 1):
    try:
        udp.sendto(b"?", (target, port))
    except OSError:  # an ICMP error of an earlier one
        pass
    tcp = socket.socket(family, socket.SOCK_STREAM)
    tcp.setblocking(False)
    tcp.connect_ex((target, port))
    tcp.close()
    time.sleep(max(0, began + (port - first) / pace - time.monotonic()))
"""


def _scan(lab: Lab, target: str, first: int = 1, last: int = 65535) -> None:
    began = time.monotonic()
    lab.isp.run([sys.executable, "-c", SCAN, target, *map(str, (first, last, PACE))], timeout=120)
    print(f"{last - first + 1} ports of {target} in {time.monotonic() - began:.0f} s")


def test_fault_30_a_plain_router_is_seen_to_answer_a_scan(lab: Lab) -> None:
    """The anti-test of this scan: resets for TCP, ICMP errors for UDP."""
    prove_the_detector(lab)
    with plain_router(lab):
        for target, kinds in ((WAN4, {"tcp", "icmp"}), (WAN6, {"tcp", "icmpv6"})):
            capture = lab.capture()
            _scan(lab, target, 1, 50)
            assert capture.stop().kinds >= kinds


def test_fault_30_every_port_is_silent_towards_the_wan(lab: Lab, box: Box) -> None:
    """0 answers of any kind: the capture's verdict takes each answer of the router for a leak, and lost no frame."""
    with scene(lab, box, bulk=True):
        _scan(lab, WAN4)
        _scan(lab, WAN6)


def test_fault_30_the_ports_are_silent_while_the_daemon_is_restarted_too(lab: Lab, proxy: Box) -> None:
    ports = (1, 1200), (8000, 9000), (12200, 12400)
    with scene(lab, proxy):
        proxy.stop()
        for first, last in ports:
            _scan(lab, WAN4, first, last)
        proxy.start()
        for first, last in ports:
            _scan(lab, WAN4, first, last)
            _scan(lab, WAN6, first, last)
        proxy.wait_open()


PROXIES = (1080, 3128, 5353, 7890, 8080, 9050, 9090, 10808)
OPEN = f"""
import asyncio
class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport): self.transport = transport
    def datagram_received(self, data, peer): self.transport.sendto(data, peer)
async def serve():
    loop = asyncio.get_running_loop()
    for port in {PROXIES}:
        await loop.create_server(asyncio.Protocol, ("0.0.0.0", "::"), port)
        await loop.create_datagram_endpoint(Echo, ("::", port))  # of both families
    await asyncio.sleep(120)
asyncio.run(serve())
"""


@contextmanager
def _open_proxies(lab: Lab) -> Iterator[None]:
    """As if engines listened on the box as many do elsewhere; one of the ports is the page's."""
    program = lab.router.popen([sys.executable, "-c", OPEN], log="proxies")
    try:
        wait_until(lambda: lab.router.listens("udp", PROXIES[-1]), 5, "they listen")
        yield
    finally:
        program.kill()
        program.wait(5)


# TCP: which ports take a connection. UDP: which answer a question of the DNS, whatever they say.
FIND = """
import resource, selectors, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000))
target, question = sys.argv[1], bytes.fromhex("000101000001000000000000") + b"\\x07blocked\\x07example\\0\\0\\1\\0\\1"
family = socket.AF_INET6 if ":" in target else socket.AF_INET
found, ports, deadline, select = {"tcp": set(), "udp": set()}, iter(range(1, 65536)), {}, selectors.DefaultSelector()
asker = socket.socket(family, socket.SOCK_DGRAM)
asker.setblocking(False)
def answers():
    try:
        while True: found["udp"].add(asker.recvfrom(2000)[1][1])
    except OSError: pass
def launch():
    for port in ports:
        answers()
        try: asker.sendto(question, (target, port))
        except OSError: pass
        s = socket.socket(family); s.setblocking(False); s.connect_ex((target, port))
        select.register(s, selectors.EVENT_WRITE, port); deadline[s] = time.monotonic() + 0.4
        return
def close(s):
    select.unregister(s); deadline.pop(s); s.close(); launch()
for _ in range(4000): launch()
while deadline:
    for key, _ in select.select(0.05):
        if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0: found["tcp"].add(key.data)
        close(key.fileobj)
    now = time.monotonic()
    for s in [s for s, end in deadline.items() if end < now]: close(s)
time.sleep(0.5)
answers()
print(*sorted(found["tcp"]), "-", *sorted(found["udp"]))
"""


def _find(host: Host, address: str) -> str:
    return host.run([sys.executable, "-c", FIND, address], timeout=150).stdout.strip()


def test_fault_31_a_plain_router_is_seen_to_have_open_proxies(lab: Lab) -> None:
    """The anti-test of this scan."""
    prove_the_detector(lab)
    with plain_router(lab), _open_proxies(lab):
        everything = " ".join(map(str, sorted(PROXIES)))
        assert _find(lab.tv, LAN_ROUTER4) == f"{everything} - {everything}"


@pytest.mark.parametrize("address", [LAN_ROUTER4, LAN_ROUTER6], ids=["v4", "v6"])
def test_fault_31_the_lan_finds_names_leases_and_the_page_and_no_proxy(lab: Lab, proxy: Box, address: str) -> None:
    with scene(lab, proxy), _open_proxies(lab):
        assert _find(lab.tv, address) == "53 8080 - 53"
        assert through(lab)
