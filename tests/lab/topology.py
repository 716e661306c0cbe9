"""The map: every host, wire, address and route of the lab, and nothing that runs.

    phone, laptop, tv -- home (bridge) -- router -- isp -- exchange -- sites, resolvers, servers (bridge)
                                                     `-- domestic
"""

from dataclasses import dataclass

from .net import Host, Net, link

LAN_ROUTER4, LAN_ROUTER6 = "192.168.77.1", "fd77:77:77::1"
WAN4, WAN6 = "100.64.7.2", "2001:db8:7::2"
ISP4, ISP6 = "100.64.7.1", "2001:db8:7::1"
DOMESTIC4, DOMESTIC6 = "198.51.100.200", "2001:db8:5d::200"
ISP_RESOLVER4, ISP_RESOLVER6 = "198.51.100.253", "2001:db8:5d::253"
TUNNEL_DOMAIN, IODINE = "t.servers.example", 62  # what iodined answers for, and the number of its machine
RESOLVERS4 = ("192.0.2.53", "192.0.2.54")
RESOLVERS6 = ("2001:db8:2::53", "2001:db8:2::54")
HOUSEHOLD = {"phone": 11, "laptop": 12, "tv": 13}
HOSTS = (*HOUSEHOLD, "home", "router", "isp", "domestic", "exchange", "sites", "resolvers", "servers")
FORWARDING = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding\n"


@dataclass(frozen=True, slots=True)
class Site:
    """A web site: its own addresses, HTTP and HTTPS; the last part of both addresses is the same number."""

    name: str
    number: int
    domestic: bool = False

    @property
    def address4(self) -> str:
        return f"198.51.100.{self.number}"

    @property
    def address6(self) -> str:
        return f"2001:db8:{'5d' if self.domestic else '51'}::{self.number}"


SITES = (Site("blocked.example", 10), Site("blocked2.example", 11), Site("open.example", 12),
         Site("probe.example", 13), Site("probe2.example", 14), Site("front.example", 15),
         Site("domestic.example", 200, domestic=True))
# REALITY servers borrow this site's handshake. At start they read what it says after one, until it hangs up or 5 s are
# over, and clients that come earlier wait in steps of 5 s. So it hangs up early; not so early that loss would break it.
FRONT = "front.example"
SITE = {site.name: site for site in SITES}


def build(net: Net) -> None:
    """Make hosts and wires; returns when every host can reach every other as far as the router allows."""
    net.add(*HOSTS)
    host = net.hosts
    _home(host)
    link(host["isp"], "cust0", host["router"], "wan0")
    link(host["isp"], "dom0", host["domestic"], "eth0")
    link(host["isp"], "exch0", host["exchange"], "isp0")
    for name, end in (("sites", "sites0"), ("resolvers", "res0"), ("servers", "srv0")):
        link(host["exchange"], end, host[name], "eth0")
    _bridge(host["servers"])
    for name, script in SCRIPTS.items():
        host[name].sh(script)
    for name, number in HOUSEHOLD.items():
        static_client(host[name], number)
        host[name].resolver(LAN_ROUTER4)
    # The box's own libc asks the ISP, as after DHCP: a look-up in clear by anything of ours shows in the capture.
    for name in HOSTS:
        if name not in HOUSEHOLD:
            host[name].resolver(ISP_RESOLVER4 if name == "router" else RESOLVERS4[0])


def _home(host: dict[str, Host]) -> None:
    host["home"].sh("ip link add br0 type bridge mcast_snooping 0; ip link set br0 up")
    for name in (*HOUSEHOLD, "router"):
        link(host["home"], name, host[name], "br-lan" if name == "router" else "eth0")
        host["home"].sh(f"ip link set {name} master br0")


def _bridge(servers: Host) -> None:
    servers.sh("ip link add br0 type bridge mcast_snooping 0; ip link set br0 up; ip link set eth0 master br0")


def static_client(host: Host, number: int) -> None:
    """The default of phone, laptop and tv: addresses and both default routes, set by hand."""
    host.sh(f"""
ip addr add 192.168.77.{number}/24 dev eth0; ip -6 addr add fd77:77:77::{number}/64 dev eth0 nodad
ip route add default via {LAN_ROUTER4}; ip -6 route add default via {LAN_ROUTER6}""")


def static_wan(router: Host) -> None:
    """The default of the router's WAN: addresses and both default routes, set by hand."""
    router.sh(f"""
ip addr replace {WAN4}/24 dev wan0; ip -6 addr replace {WAN6}/64 dev wan0 nodad
ip route replace default via {ISP4}; ip -6 route replace default via {ISP6}""")


def unplug(isp: Host, wire: str = "cust0") -> None:
    """The router's WAN loses its carrier; its addresses and routes stay, as they do when a cable is pulled."""
    isp.sh(f"ip link set {wire} down")


def plug(isp: Host, wire: str = "cust0") -> None:
    """And back; the kernel forgot the addresses of IPv6, and what was routed there."""
    isp.sh(f"""ip link set {wire} up; ip -6 addr replace {ISP6}/64 dev cust0 nodad
ip route replace 192.168.77.0/24 via {WAN4}; ip -6 route replace fd77:77:77::/64 via {WAN6}""")


def server_host(net: Net, name: str, number: int) -> Host:
    """A transport server's machine, wired to the servers' network with its own two addresses."""
    host = net.add(name)[0]
    end = f"s{number}"
    link(net.hosts["servers"], end, host, "eth0")
    net.hosts["servers"].sh(f"ip link set {end} master br0")
    host.sh(f"""
ip addr add 203.0.113.{number}/24 dev eth0; ip -6 addr add 2001:db8:113::{number}/64 dev eth0 nodad
ip route add default via 203.0.113.1; ip -6 route add default via 2001:db8:113::1""")
    host.resolver(RESOLVERS4[0])
    return host


def _addresses(device: str, *addresses: str) -> str:
    return "".join(f"ip addr add {a} dev {device}{' nodad' if ':' in a else ''}\n" for a in addresses)


def _site_addresses(domestic: bool) -> tuple[str, ...]:
    sites = [site for site in SITES if site.domestic is domestic]
    return (*(f"{site.address4}/25" for site in sites), *(f"{site.address6}/64" for site in sites))


def _default(via4: str, via6: str) -> str:
    return f"ip route add default via {via4}; ip -6 route add default via {via6}\n"


# The household's own ranges are routed back, so that a router which leaks unmasked addresses gets answers too.
SCRIPTS = {
    "router": f"{_addresses('wan0', f'{WAN4}/24', f'{WAN6}/64')}{_default(ISP4, ISP6)}",
    "isp": FORWARDING + _addresses("cust0", f"{ISP4}/24", f"{ISP6}/64")
    + _addresses("dom0", "198.51.100.129/25", "2001:db8:5d::1/64")
    + _addresses("exch0", "100.64.0.2/30", "2001:db8:f::2/64") + _default("100.64.0.1", "2001:db8:f::1")
    + f"ip route add 192.168.77.0/24 via {WAN4}; ip -6 route add fd77:77:77::/64 via {WAN6}\n",
    "exchange": FORWARDING + _addresses("isp0", "100.64.0.1/30", "2001:db8:f::1/64")
    + _addresses("sites0", "198.51.100.1/25", "2001:db8:51::1/64")
    + _addresses("res0", "192.0.2.1/24", "2001:db8:2::1/64")
    + _addresses("srv0", "203.0.113.1/24", "2001:db8:113::1/64") + _default("100.64.0.2", "2001:db8:f::2"),
    "domestic": _addresses("eth0", *_site_addresses(True), f"{ISP_RESOLVER4}/25", f"{ISP_RESOLVER6}/64")
    + _default("198.51.100.129", "2001:db8:5d::1"),
    "sites": _addresses("eth0", *_site_addresses(False)) + _default("198.51.100.1", "2001:db8:51::1"),
    "resolvers": _addresses("eth0", *(f"{a}/24" for a in RESOLVERS4), *(f"{a}/64" for a in RESOLVERS6))
    + _default("192.0.2.1", "2001:db8:2::1"),
}
