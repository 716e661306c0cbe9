"""What the kernel says by itself: links, routes, rules and rulesets that change under us, without polling."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from ipaddress import ip_interface

from pyroute2 import AsyncIPRoute

from routerd.model import Interface

RTMGRP_LINK, RTMGRP_V4_IFADDR, RTMGRP_V4_ROUTE, RTMGRP_V4_RULE = 0x1, 0x10, 0x40, 0x80
RTMGRP_V6_IFADDR, RTMGRP_V6_ROUTE = 0x100, 0x400
_NETLINK_ROUTE, _NETLINK_NETFILTER = 0, 12
_GROUP_V6_RULE, _GROUP_NFTABLES = 19, 7  # RTNLGRP_IPV6_RULE, NFNLGRP_NFTABLES
_SOL_NETLINK, _ADD_MEMBERSHIP, _NO_ENOBUFS = 270, 1, 5
_NEWGEN = (10 << 8) | 15  # NFT_MSG_NEWGEN
_GEN_PROC_PID = 2


class Monitor:
    """Calls `route()` when links, addresses, routes or rules changed, `ruleset(pid)` when nftables did."""

    def __init__(self, route: Callable[[], None], ruleset: Callable[[int], None]) -> None:
        self._route, self._ruleset = route, ruleset
        self._sockets: list[socket.socket] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        groups = RTMGRP_LINK | RTMGRP_V4_IFADDR | RTMGRP_V4_ROUTE | RTMGRP_V4_RULE | RTMGRP_V6_IFADDR | RTMGRP_V6_ROUTE
        routes = _listen(_NETLINK_ROUTE, groups, _GROUP_V6_RULE)
        rulesets = _listen(_NETLINK_NETFILTER, 0, _GROUP_NFTABLES)
        loop.add_reader(routes, self._drain_routes, routes)
        loop.add_reader(rulesets, self._drain_rulesets, rulesets)
        self._sockets = [routes, rulesets]

    def stop(self) -> None:
        for found in self._sockets:
            asyncio.get_running_loop().remove_reader(found)
            found.close()

    def _drain_routes(self, source: socket.socket) -> None:
        if _drain(source):
            self._route()

    def _drain_rulesets(self, source: socket.socket) -> None:
        for data in _drain(source):
            for pid in _authors(data):
                self._ruleset(pid)


def _listen(protocol: int, groups: int, *more: int) -> socket.socket:
    found = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    found.bind((0, groups))
    for group in more:
        found.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
    found.setsockopt(_SOL_NETLINK, _NO_ENOBUFS, 1)
    return found


def _drain(source: socket.socket) -> list[bytes]:
    found = []
    try:
        while True:
            found.append(source.recv(1 << 16))
    except BlockingIOError:
        return found


def _authors(data: bytes) -> list[int]:
    """Process ids of the transactions that a notification tells of."""
    pids, offset = [], 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if kind == _NEWGEN:
            pids.append(_pid(data[offset + 20 : offset + length]))
        offset += max(16, (length + 3) & ~3)
    return pids


def _pid(attributes: bytes) -> int:
    offset = 0
    while offset + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, offset)
        if kind == _GEN_PROC_PID:
            return int(struct.unpack_from(">I", attributes, offset + 4)[0])
        offset += max(4, (length + 3) & ~3)
    return 0


async def wan_is_up(netlink: AsyncIPRoute, wan: str) -> bool:
    """Carrier, and a default route through it, of either family."""
    index = None
    async for link in await netlink.get_links():
        if link.get_attr("IFLA_IFNAME") == wan and link.get_attr("IFLA_OPERSTATE") in ("UP", "UNKNOWN"):
            index = link["index"]
    if index is None:
        return False
    for family in (socket.AF_INET, socket.AF_INET6):
        async for route in await netlink.get_routes(family=family, table=254):
            if route["dst_len"] == 0 and index in _ways(route):
                return True
    return False


async def overlap(netlink: AsyncIPRoute, wan: str, lan: Iterable[Interface]) -> str:
    """The WAN's network that has addresses of the LAN's in it, or nothing."""
    index = {m.get_attr("IFLA_IFNAME"): m["index"] async for m in await netlink.get_links()}.get(wan)
    if index is None:
        return ""
    async for message in await netlink.get_addr(index=index):
        network = ip_interface(f"{message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}").network
        if any(network.version == own.version and network.overlaps(own.network) for own in lan):
            return str(network)
    return ""


def _ways(route: object) -> list[int]:
    single = route.get_attr("RTA_OIF")  # type: ignore[attr-defined]
    several = route.get_attr("RTA_MULTIPATH") or []  # type: ignore[attr-defined]
    return [single, *(hop["oif"] for hop in several)]
