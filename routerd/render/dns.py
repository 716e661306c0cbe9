"""Names: dnsmasq answers the household and asks the resolver, which asks by DoH through the active exit.

dnsmasq has no other upstream, so a dead exit means no answer, never an answer in clear.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from ipaddress import IPv4Address, ip_address
from urllib.parse import urlsplit

from routerd.model import OWN_SLOT, UPSTREAM_SLOT, Service, mark
from routerd.settings import MOST_RESOLVERS, Settings

PORT = 12400  # behind the transports' own, 12300 + slot


def dnsmasq(settings: Settings, leases: str) -> Service:
    """DHCP, router advertisements, the cache. `leases`: where it may write, on a RAM disk."""
    lines = [
        "port=53",
        "no-resolv",
        "no-hosts",
        "no-poll",
        f"interface={settings.lan}",
        "except-interface=lo",
        "bind-dynamic",
        *(f"server=127.0.0.1#{port_of(OWN_SLOT, i)}" for i in range(len(settings.resolvers))),
        "cache-size=4000",
        "domain-needed",
        "local=/lan/",
        "domain=lan",
        f"host-record=router.lan,{settings.address.ip}" + (f",{settings.address6.ip}" if settings.address6 else ""),
        "log-facility=-",
        "quiet-dhcp",
        "quiet-dhcp6",
        "quiet-ra",
        *(_dhcp(settings, leases) if settings.dhcp else []),
    ]
    return Service("dnsmasq", ("dnsmasq", "--keep-in-foreground", "--conf-file=-"), "\n".join(lines) + "\n")


def _dhcp(settings: Settings, leases: str) -> list[str]:
    first, last = lease_range(settings)
    lines = [
        f"dhcp-range={first},{last},{settings.address.netmask},12h",
        f"dhcp-option=option:router,{settings.address.ip}",
        f"dhcp-option=option:dns-server,{settings.address.ip}",
        f"dhcp-leasefile={leases}",
        "dhcp-authoritative",
        "no-ping",
    ]
    if settings.address6:
        network = settings.address6.network.network_address
        lines += [
            f"dhcp-range={network},ra-only,64,12h",
            "enable-ra",
            f"dhcp-option=option6:dns-server,[{settings.address6.ip}]",
        ]
    return lines


def lease_range(settings: Settings) -> tuple[IPv4Address, IPv4Address]:
    """The upper part of the LAN, so that addresses given by hand find room below. At most 200."""
    network, own = settings.address.network, settings.address.ip
    hosts = network.num_addresses - 2
    last = network.broadcast_address - 1
    first = max(network.network_address + 1, last - min(200, max(1, hosts - hosts // 5)) + 1)
    if own == last:
        return first, last - 1
    return (own + 1 if first <= own <= last else first), last


def port_of(slot: int, resolver: int) -> int:
    """Where on 127.0.0.1 the resolver child takes questions for `slot`; OWN_SLOT's are the household's."""
    return PORT + slot * MOST_RESOLVERS + resolver


def resolver(settings: Settings, slots: Iterable[int]) -> Service:
    """One sing-box that speaks DoH, with a door for each slot and resolver.

    A door's packets carry its slot's mark: the household's (OWN_SLOT) follow the active exit, a transport's own are
    for its probes, and UPSTREAM_SLOT's, straight from the box, look up servers' names.
    """
    doors = [
        (slot, i, url) for slot in (OWN_SLOT, UPSTREAM_SLOT, *sorted(slots)) for i, url in enumerate(settings.resolvers)
    ]
    config = {
        "log": {"disabled": True},
        "dns": {
            "servers": [_server(slot, i, url) for slot, i, url in doors],
            "rules": [
                {"inbound": [f"ask-{slot}-{i}"], "action": "route", "server": f"doh-{slot}-{i}"} for slot, i, _ in doors
            ],
            "final": f"doh-{OWN_SLOT}-0",
            "disable_cache": True,
        },
        "inbounds": [
            {"type": "direct", "tag": f"ask-{slot}-{i}", "listen": "127.0.0.1", "listen_port": port_of(slot, i)}
            for slot, i, _ in doors
        ],
        "outbounds": [{"type": "direct", "tag": "direct", "routing_mark": mark(OWN_SLOT)}],
        "route": {
            "rules": [{"action": "hijack-dns"}],
            "final": "direct",
            "default_domain_resolver": f"doh-{OWN_SLOT}-0",
        },
    }
    return Service("resolver", ("sing-box", "run", "-c", "stdin"), json.dumps(config, indent=1, sort_keys=True))


def _server(slot: int, i: int, url: str) -> dict[str, object]:
    parts = urlsplit(url)
    host = str(ip_address(parts.hostname or ""))
    return {
        "type": "https",
        "tag": f"doh-{slot}-{i}",
        "server": host,
        "server_port": parts.port or 443,
        "path": parts.path or "/dns-query",
        "tls": {"enabled": True, "server_name": host},
        "routing_mark": mark(slot),
        "connect_timeout": "3s",
    }
