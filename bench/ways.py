"""The ways that are compared. Ours is routerd on the lab's router; each other one is a router of its own beside it.

All hang on the same home and the same ISP. The phone chooses by its route, which is how they can take turns.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from routerd.host.engines import program, resolve
from routerd.links import parse
from routerd.model import UPSTREAM_SLOT, Launch, Link, Tproxy, mark
from tests.lab import Host, Lab, Server, wait_until
from tests.lab.box import Box
from tests.lab.net import link
from tests.lab.recipes import RECIPES, Seat
from tests.lab.servers import START_SECONDS
from tests.lab.topology import LAN_ROUTER4, server_host
from tests.lab.tunnels import TUNNELS

SITES = "198.51.100.0/25"
SERVERS = (*RECIPES, "openvpn", "openvpn-tcp")  # those that can be compared
# A client of these has one place at a time (a peer's key, a certificate's name), so two clients need two servers.
ALONE = {"wireguard": 80, "openvpn": 81, "openvpn-tcp": 82}
# Thousands of connections per second to one address: else each side would run out of ports, in TIME_WAIT.
PORTS = """
echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse
echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range
"""
TPROXY = """
nft -f - <<'.'
table inet bare { chain prerouting { type filter hook prerouting priority -150;
  ip daddr 192.168.77.0/24 accept
  iifname "br-lan" meta l4proto { tcp, udp } meta mark set 1 tproxy ip to 127.0.0.1:PORT accept
}; }
.
ip rule add fwmark 1 lookup 100
ip route add local default dev lo table 100
"""
FORWARD = """
echo 1 > /proc/sys/net/ipv4/ip_forward
nft 'table inet bare { chain post { type nat hook postrouting priority 100; oifname "OUT" masquerade; }; }'
"""


@dataclass(frozen=True, slots=True)
class Way:
    """`take` sends the phone's new flows this way."""

    name: str
    router: Host
    take: Callable[[], None]


def open_ports(hosts: Iterable[Host]) -> None:
    for host in hosts:
        host.sh(PORTS)


def ours(lab: Lab, box: Box, transport: str) -> Way:
    def take() -> None:
        if box.status()["active"] != transport:
            box.ask("POST", "/use", {"name": transport})
            box.wait_open(transport)
        via(lab, LAN_ROUTER4)

    return Way(f"ours, {transport}", lab.router, take)


def bare(lab: Lab, number: int, transport: str) -> Way:
    """The same engine with the same configuration, and the fewest lines by hand that bring packets to it."""
    launch = parse(_own_server(lab, transport).link).transport.launch(transport, number)
    host = router(lab, number, transport)
    _engine(host, launch)
    match launch.exit:
        case Tproxy(port):
            wait_until(lambda: host.listens("tcp", port), START_SECONDS, f"{transport} listens; see {host.directory}")
            host.sh(TPROXY.replace("PORT", str(port)))
        case Link():
            _bare_link(host, launch.exit)
    return _way(lab, host, number, f"bare, {transport}")


def plain(lab: Lab, number: int) -> Way:
    """No transport: the router forwards and masquerades."""
    host = router(lab, number, "plain")
    host.sh(FORWARD.replace("OUT", "wan0"))
    return _way(lab, host, number, "plain forwarding")


def tun(lab: Lab, number: int, transport: str) -> Way:
    """sing-box's own tun mode with the same outbound, in charge of routes and rules by itself."""
    launch = parse(lab.server(transport).link).transport.launch(transport, number)
    host = router(lab, number, f"tun-{transport}")
    host.sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
    config = json.loads(launch.stdin)
    config["inbounds"] = [
        {"type": "tun", "tag": "in", "interface_name": "tun0", "address": ["172.19.0.1/30"], "auto_route": True,
         "strict_route": True}
    ]
    config["route"] = {"auto_detect_interface": True, "final": "out"}
    config["outbounds"][0].pop("routing_mark")
    _start(host, (*program("sing-box"), "run", "-c", "stdin"), json.dumps(config), "tun")
    wait_until(lambda: "tun0" in host.sh("ip -br link"), START_SECONDS, f"tun0; see {host.directory}/tun.log")
    return _way(lab, host, number, f"sing-box tun, {transport}")


def via(lab: Lab, gateway: str) -> None:
    lab.phone.run(["ip", "route", "replace", SITES, "via", gateway])


def _way(lab: Lab, host: Host, number: int, name: str) -> Way:
    return Way(name, host, lambda: via(lab, f"192.168.77.{100 + number}"))


def router(lab: Lab, number: int, name: str) -> Host:
    """Another router between home and ISP: 192.168.77.(100 + number), and a wire of its own to the ISP."""
    host = lab.net.add(f"router-{name}")[0]
    home, isp = lab.net.hosts["home"], lab.isp
    link(home, f"bench{number}", host, "br-lan")
    home.sh(f"ip link set bench{number} master br0")
    link(isp, f"bench{number}", host, "wan0")
    isp.sh(f"ip addr add 100.65.{number}.1/24 dev bench{number}")
    host.sh(f"""
ip addr add 192.168.77.{100 + number}/24 dev br-lan; ip addr add 100.65.{number}.2/24 dev wan0
ip route add default via 100.65.{number}.1""")
    host.sh(PORTS)
    return host


def _own_server(lab: Lab, transport: str) -> Server:
    """The lab's, or one more of that kind."""
    if transport not in ALONE:
        return lab.server(transport)
    number = ALONE[transport]
    host = server_host(lab.net, f"server-{transport}-bare", number)
    cert = lab.ca.issue(host.directory, "server", ["bare.servers.example"])
    seat = Seat(f"203.0.113.{number}", f"2001:db8:113::{number}", "bare.servers.example", cert, lab.ca_file)
    server = Server(f"{transport}-bare", host, seat, (RECIPES | TUNNELS)[transport][1](seat))
    server.start()
    return server


def _engine(host: Host, launch: Launch) -> subprocess.Popen[str]:
    return _start(host, resolve(launch.argv), launch.stdin, launch.name)


def _start(host: Host, argv: tuple[str, ...], stdin: str, log: str) -> subprocess.Popen[str]:
    child = host.popen(argv, log=log, stdin=subprocess.PIPE, env={"WG_PROCESS_FOREGROUND": "1"})
    assert child.stdin
    with child.stdin as pipe:
        pipe.write(stdin)
    return child


def _bare_link(host: Host, way_in: Link) -> None:
    name = way_in.ifname
    if way_in.families:  # its engine addresses it
        wait_until(lambda: "inet " in host.sh(f"ip addr show to 0/0 | grep -w {name} || true"), START_SECONDS, name)
    else:
        wait_until(lambda: host.run(["wg", "show", name], check=False).returncode == 0, START_SECONDS, name)
        host.run(["wg", "setconf", name, "/dev/stdin"], input=way_in.wireguard)
        address = next(a for a in way_in.addresses if a.version == 4)
        host.sh(f"ip addr add {address} dev {name}; ip link set {name} mtu {way_in.mtu} up")
    host.sh(f"ip rule add fwmark {mark(UPSTREAM_SLOT):#x} lookup main; ip route add {SITES} dev {name}")
    host.sh(FORWARD.replace("OUT", name))
