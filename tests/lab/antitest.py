"""The control experiment: with the router as a plain one, the detector must report every kind of leak."""

import contextlib
import socket
from collections.abc import Iterator

from .lab import Lab
from .load import question
from .net import Host
from .topology import LAN_ROUTER4, LAN_ROUTER6, RESOLVERS4, SITE

KINDS = frozenset({"tcp", "udp", "icmp", "dns", "ipv6"})
PLAIN = f"""
ip addr add {LAN_ROUTER4}/24 dev br-lan; ip -6 addr add {LAN_ROUTER6}/64 dev br-lan nodad
echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"""
BACK = """
echo 0 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv6/conf/all/forwarding
ip addr flush dev br-lan scope global; ip neigh flush dev br-lan; ip neigh flush dev wan0"""


@contextlib.contextmanager
def plain_router(lab: Lab, resolver: str | None = RESOLVERS4[0]) -> Iterator[None]:
    """A router without any product: forwards everything, no rules, no NAT; the household asks `resolver` for names.

    For a router on which nothing was configured yet; that is how it is left.
    """
    lab.router.sh(PLAIN)
    clients = (lab.phone, lab.laptop, lab.tv)
    for client in clients:
        client.resolver(resolver or LAN_ROUTER4)
    try:
        yield
    finally:
        lab.router.sh(BACK)
        for client in clients:
            client.resolver(LAN_ROUTER4)


def send_one_of_each(client: Host, token: str) -> None:
    """TCP, UDP, DNS over v4 and v6, and a ping: towards blocked.example and a public resolver, with the canary."""
    site, word = SITE["blocked.example"], token.encode()

    def send() -> None:
        for family, address in ((socket.AF_INET, site.address4), (socket.AF_INET6, site.address6)):
            with socket.socket(family, socket.SOCK_DGRAM) as udp:
                udp.sendto(word, (address, 443))
            with socket.socket(family, socket.SOCK_STREAM) as tcp, contextlib.suppress(OSError):
                tcp.settimeout(1)
                tcp.connect((address, 80))
                tcp.sendall(b"GET /?" + word + b" HTTP/1.0\r\n\r\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dns:
            dns.sendto(question(token, 1), (RESOLVERS4[0], 53))

    client.call(send)
    client.run(["ping", "-c", "1", "-W", "1", site.address4], check=False)


def anti_test(lab: Lab) -> set[str]:
    """The kinds of leak that a capture on a plain router reports; must hold all of KINDS. Leaves the router unset."""
    with plain_router(lab):
        capture = lab.capture()
        send_one_of_each(lab.phone, lab.token)
        verdict = capture.stop()
    return verdict.kinds
