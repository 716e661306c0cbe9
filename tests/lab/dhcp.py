"""DHCP where a scenario wants it: an ISP that leases (with any options, honest or not), and real clients (dhcpcd).

The default lab has static addresses; these functions replace them and need no way back, since a lab is thrown away.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .net import Host, wait_until
from .topology import ISP4, ISP_RESOLVER4, WAN4, static_wan

ISP_DNSMASQ = "isp-dhcp"


@dataclass(frozen=True, slots=True)
class Lease:
    """What the ISP tells the router. `routes` is option 121: (prefix, gateway) pairs; clients then ignore `gateway`.

    An `address` outside of 100.64.7.0/24 needs `isp_address`, the ISP's own address in that network.
    """

    address: str = WAN4
    prefix: int = 24
    gateway: str = ISP4
    dns: Sequence[str] = (ISP_RESOLVER4,)
    routes: Sequence[tuple[str, str]] = ()
    seconds: int = 120
    isp_address: str | None = None


def _dnsmasq(lease: Lease) -> list[str]:
    routes = ",".join(part for pair in lease.routes for part in pair)
    return ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=cust0", "--no-ping",
            "--bind-interfaces", "--dhcp-leasefile=/dev/null", "--dhcp-authoritative", "--user=root",
            f"--dhcp-range={lease.address},{lease.address},{_mask(lease.prefix)},{lease.seconds}",
            f"--dhcp-option=option:router,{lease.gateway}", f"--dhcp-option=option:dns-server,{','.join(lease.dns)}",
            *([f"--dhcp-option=121,{routes}"] if routes else [])]


def _mask(prefix: int) -> str:
    bits = (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF
    return ".".join(str(bits >> shift & 255) for shift in (24, 16, 8, 0))


@contextmanager
def isp_leases(isp: Host, lease: Lease) -> Iterator[subprocess.Popen[str]]:
    """The ISP's DHCP server with this lease; another one may follow (the client then renews or is restarted)."""
    if lease.isp_address:
        isp.run(["ip", "addr", "replace", f"{lease.isp_address}/{lease.prefix}", "dev", "cust0"])
    server = isp.popen(_dnsmasq(lease), log=ISP_DNSMASQ)
    try:
        wait_until(lambda: isp.listens("udp", 67), 5, f"the ISP's DHCP server; see {isp.directory}/{ISP_DNSMASQ}.log")
        yield server
    finally:
        server.kill()
        server.wait(5)


@contextmanager
def dhcp_client(host: Host, interface: str, ipv6: bool = False, names: bool = False) -> Iterator[subprocess.Popen[str]]:
    """dhcpcd on an interface, as on Raspberry Pi OS: takes router, DNS and option 121; with `ipv6` also RA.

    With `names` it writes the leased resolvers into /etc/resolv.conf, else that stays as it is.
    Static IPv4 addresses and routes of the interface go first, and do not come back; `has_lease` tells when it is done.
    """
    host.sh(f"ip -4 addr flush dev {interface}; ip -4 route flush dev {interface}; ip link set {interface} up")
    config = host.directory / f"dhcpcd-{interface}.conf"
    config.write_text("duid\nnoarp\noption classless_static_routes, routers, domain_name_servers, interface_mtu\n"
                      f"{'' if names else 'nohook resolv.conf'}\n{'ipv6rs' if ipv6 else 'noipv6'}\n")
    if ipv6:
        host.sh(f"ip -6 addr flush dev {interface} scope global; ip -6 route flush default")
    argv = ["dhcpcd", "-B", "-f", str(config), "-t", "0", *([] if ipv6 else ["-4"]), interface]
    client = host.popen(argv, log=f"dhcpcd-{interface}")
    try:
        yield client
    finally:
        client.terminate()
        client.wait(10)


def renew(host: Host, interface: str) -> None:
    """The client asks for a lease again, now."""
    host.run(["dhcpcd", "-4", "-n", interface])


def has_lease(host: Host, interface: str, address: str | None = None) -> bool:
    """Whether the interface has an IPv4 address (or this one)."""
    words = host.sh(f"ip -4 -o addr show dev {interface}").split()
    return f"inet {address}/" in " ".join(words) if address else "inet" in words


__all__ = ["Lease", "dhcp_client", "has_lease", "isp_leases", "renew", "static_wan"]
