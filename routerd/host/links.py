"""Link exits: makes the WireGuard interfaces, by the kernel or else by wireguard-go; removes others of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from routerd.host.routing import apply_addresses, interfaces
from routerd.model import Launch, Link

NOT_SUPPORTED = (95, 19, 22)  # EOPNOTSUPP, ENODEV, EINVAL: the kernel has no such kind of interface


@dataclass(slots=True)
class Links:
    """`kernel`: whether this kernel makes WireGuard interfaces; None until it was tried."""

    kernel: bool | None = None
    _configured: dict[str, tuple[int, Link]] = field(default_factory=dict)

    async def probe(self, netlink: AsyncIPRoute) -> bool:
        if self.kernel is None:
            self.kernel = await _try(netlink)
        return self.kernel

    def made(self) -> set[str]:
        """The interfaces that were there when we last looked."""
        return set(self._configured)

    async def apply(self, netlink: AsyncIPRoute, launches: Iterable[Launch]) -> list[str]:
        """Creates, configures and addresses. Returns the names of links that are not there (yet)."""
        wanted = {launch.exit.ifname: launch.exit for launch in launches if isinstance(launch.exit, Link)}
        present = await interfaces(netlink)
        for name in [n for n in present if n.startswith("cw-") and n not in wanted]:
            await _delete(netlink, present[name])
        if self.kernel:
            for name in wanted.keys() - present.keys():
                await netlink.link("add", ifname=name, kind="wireguard")
            present = await interfaces(netlink)
        for name in [n for n in wanted if n in present]:
            await self._configure(netlink, present[name], wanted[name])
        self._configured = {n: c for n, c in self._configured.items() if n in wanted and n in present}
        return [n for n in wanted if n not in present]

    async def _configure(self, netlink: AsyncIPRoute, index: int, link: Link) -> None:
        if self._configured.get(link.ifname) != (index, link):
            await _setconf(link)
            await netlink.link("set", index=index, mtu=link.mtu)
            self._configured[link.ifname] = (index, link)
        await apply_addresses(netlink, index, link.addresses, only=True)


async def _try(netlink: AsyncIPRoute) -> bool:
    try:
        await netlink.link("add", ifname="cw-try", kind="wireguard")
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


async def _setconf(link: Link) -> None:
    """wg(8) speaks to the kernel and to wireguard-go alike; the key goes over stdin."""
    process = await asyncio.create_subprocess_exec(
        "wg", "setconf", link.ifname, "/dev/stdin", stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, error = await process.communicate(link.wireguard.encode())
    if process.returncode:
        raise OSError(f"wg setconf {link.ifname} failed: {error.decode(errors='replace').strip()[:120]}")
