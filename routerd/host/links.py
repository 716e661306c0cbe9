"""Link exits: makes the (Amnezia)WireGuard interfaces, by the kernel or else by its engine; removes others of ours.

Those of other engines are made and addressed by these; here their addresses are narrowed to single ones, so that no
server's word routes anything, and those that are the household's, or no host's, are taken away.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_interface

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from routerd.host.engines import resolve
from routerd.host.routing import apply_addresses, interfaces
from routerd.model import Interface, Launch, Link

LINK_SCOPE = 253  # RT_SCOPE_LINK: the kernel's own
UP = 0x1  # IFF_UP
NODAD = 0x02  # IFA_F_NODAD: usable at once
KINDS = {"wg": "wireguard", "awg": "amneziawg"}  # what the kernel calls an interface that this program configures
QUOTED = re.compile(r"`(?:(\w+)=(?=[^']))?[^']*'")
FINAL = ("Configuration parsing error", "Invalid argument")  # of a tool, and of its engine or the kernel
NOT_SUPPORTED = (95, 19, 22)  # EOPNOTSUPP, ENODEV, EINVAL: the kernel has no such kind of interface


@dataclass(slots=True)
class Links:
    """`kernel`: of KINDS, those that this kernel makes; None until it was tried.

    `refused`: links that were not configured when we last tried, and why. The others are none the worse for it.
    """

    kernel: frozenset[str] | None = None
    refused: dict[str, str] = field(default_factory=dict)
    _configured: dict[str, tuple[int, Link]] = field(default_factory=dict)
    _dying: dict[str, int] = field(default_factory=dict)
    _late: dict[str, str] = field(default_factory=dict)

    async def probe(self, netlink: AsyncIPRoute) -> None:
        if self.kernel is None:
            self.kernel = frozenset([kind for kind in KINDS.values() if await _try(netlink, kind)])

    def makes(self, launch: Launch) -> bool:
        """Whether the kernel is its engine."""
        link = launch.exit
        return isinstance(link, Link) and bool(link.wireguard) and KINDS[link.tool] in (self.kernel or ())

    def made(self) -> set[str]:
        """The interfaces that were there when we last looked."""
        return set(self._configured)

    def forget(self, names: Iterable[str]) -> None:
        """Their engines begin anew: what still stands goes with the old one, which may take the kernel a moment."""
        for name in names:
            if made := self._configured.pop(name, None):
                self._dying[name] = made[0]

    async def apply(
        self, netlink: AsyncIPRoute, launches: Iterable[Launch], lan: Collection[Interface] = ()
    ) -> list[str]:
        """Creates, configures and addresses. Returns the names of links that are not there (yet).

        Raises OSError, after all else, where an engine does not take its configuration yet.
        """
        launches, self.refused, self._late = tuple(launches), {}, {}
        wanted = {launch.exit.ifname: launch.exit for launch in launches if isinstance(launch.exit, Link)}
        present = await interfaces(netlink)
        for name in [n for n in present if n.startswith("cw-") and n not in wanted]:
            await _delete(netlink, present[name])
        for link in [each.exit for each in launches if isinstance(each.exit, Link) and self.makes(each)]:
            if link.ifname not in present:
                await netlink.link("add", ifname=link.ifname, kind=KINDS[link.tool])
        present = await interfaces(netlink)
        present = {name: index for name, index in present.items() if self._dying.get(name) != index}
        for name in [n for n in wanted if n in present]:
            if wanted[name].families:
                await _adopt(netlink, present[name], wanted[name], lan)
                self._configured[name] = (present[name], wanted[name])
            else:
                await self._configure(netlink, present[name], wanted[name])
        self._configured = {n: c for n, c in self._configured.items() if n in wanted and n in present}
        if self._late:
            raise OSError("; ".join(f"{name}: {error}" for name, error in self._late.items()))
        return [n for n in wanted if n not in present]

    async def _configure(self, netlink: AsyncIPRoute, index: int, link: Link) -> None:
        """Up in any case: a route into one that is down is refused, and those of all others with it."""
        if self._configured.get(link.ifname) != (index, link):
            if error := await _setconf(link):
                (self.refused if _is_final(error) else self._late)[link.ifname] = error
            else:
                self._configured[link.ifname] = (index, link)
            await netlink.link("set", index=index, mtu=link.mtu)
        await apply_addresses(netlink, index, link.addresses, only=True)


async def _try(netlink: AsyncIPRoute, kind: str) -> bool:
    try:
        await netlink.link("add", ifname="cw-try", kind=kind)
    except NetlinkError as e:
        if e.code in NOT_SUPPORTED:
            return False
        raise
    await _delete(netlink, (await interfaces(netlink))["cw-try"])
    return True


async def _delete(netlink: AsyncIPRoute, index: int) -> None:
    try:
        await netlink.link("del", index=index)
    except NetlinkError as e:
        if e.code != 19:  # ENODEV: its process ended meanwhile and took it along
            raise


async def _adopt(netlink: AsyncIPRoute, index: int, link: Link, lan: Collection[Interface]) -> None:
    """What its engine has given it, without the networks and the peers that belong to it."""
    for message in [m async for m in await netlink.get_addr(index=index) if m["scope"] != LINK_SCOPE]:
        peer, length, family = message.get_attr("IFA_ADDRESS"), message["prefixlen"], message["family"]
        address = ip_interface(message.get_attr("IFA_LOCAL") or peer)
        local, single, good = str(address.ip), address.max_prefixlen, usable(address, lan)
        if good and (peer, length) == (local, single):
            continue
        await netlink.addr("del", index=index, address=peer, local=local, prefixlen=length, family=family)
        if good:  # only now: IPv6 knows an address once on an interface, whatever its length
            await netlink.addr("add", index=index, address=local, prefixlen=single, family=family, flags=NODAD)
    found = [(m.get_attr("IFLA_MTU"), m["flags"] & UP) async for m in await netlink.get_links(index)]
    if found != [(link.mtu, UP)]:  # a route into one that is down is refused, and its engine may take its time
        await netlink.link("set", index=index, mtu=link.mtu, state="up")


def usable(address: Interface, lan: Collection[Interface]) -> bool:
    """Whether a server may have given it: one host's, and nobody's in this house."""
    ours = any(address.version == own.version and address.ip in own.network for own in lan)
    return not (ours or address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local)


async def _setconf(link: Link) -> str:
    """Why not, or nothing. wg(8) and awg(8) speak to the kernel and to the engines alike; the key goes over stdin."""
    try:
        argv = resolve((link.tool, "setconf", link.ifname, "/dev/stdin"))
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as e:
        return str(e)
    _, error = await process.communicate(link.wireguard.encode())
    return f"{link.tool} setconf: {_without_values(error)}" if process.returncode else ""


def _is_final(error: str) -> bool:
    """Whether another try would end the same: it is the words that were refused, or there is nobody to say them to."""
    return error.endswith(FINAL) or "is not on this box" in error


def _without_values(error: bytes) -> str:
    """A tool repeats the line that it does not know, and there may be a key in it: its name is enough."""
    lines = QUOTED.sub(r"\1", error.decode(errors="replace")).split("\n")
    return "; ".join(filter(None, lines))[-200:]
