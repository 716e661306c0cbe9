"""Hands what waits for a worker over to it: by nft's `queue`, or by iptables' NFQUEUE where the kernel has no such.

Not in the policy: a kernel that lacks the expression would refuse all of that. Without it what waits is dropped
(render/desync.py). A flow table would go round the worker, so where there is one we do not begin.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence

from routerd.host.engines import PATH
from routerd.host.nft import Nft, NftError
from routerd.model import Launch, Plan, Queue
from routerd.render import desync

Queues = tuple[tuple[int, int], ...]  # slot, number
PROGRAMS = {"ip": "iptables-nft", "ip6": "ip6tables-nft"}


class Handover:
    """Raises OSError or NftError with what is missing; nothing goes straight out then."""

    def __init__(self) -> None:
        self._nft = Nft()
        self._by_nft: bool | None = None  # None: not known yet
        self._kept: Queues | None = None  # None: a daemon before us may have left something
        self._seen: tuple[str, ...] = ()

    async def apply(self, plan: Plan) -> None:
        """May be repeated at will; looks before it writes."""
        wanted = queues(plan.launches)
        if wanted and (name := self._flow_table()):
            raise OSError(f"the flow table {name} of another program would go round the worker; remove it")
        if self._by_nft is None:
            self._by_nft = self._can_queue()
        if wanted != self._kept or (wanted and self._look() != self._seen):
            await self._put(wanted)
            self._kept, self._seen = wanted, self._look()

    def _can_queue(self) -> bool:
        try:
            self._nft.check(desync.handover(((1, 1),)))
        except NftError:
            return False
        return True

    def _flow_table(self) -> str:
        try:
            found = self._nft.run("list flowtables").split("flowtable ")[1:]
        except NftError:
            return ""
        return found[0].split()[0] if found else ""

    def _look(self) -> tuple[str, ...]:
        """What of it is in the kernel. iptables' rules too are read by libnftables: no program is started for that."""
        if self._by_nft:
            return (self._nft.listing(desync.HANDOVER),)
        return tuple(_ours(self._mangle(family)) for family in PROGRAMS)

    def _mangle(self, family: str) -> str:
        try:
            return self._nft.run(f"list table {family} mangle")
        except NftError:
            return ""

    async def _put(self, wanted: Queues) -> None:
        if self._by_nft:
            gone = f"add table inet {desync.HANDOVER}\ndelete table inet {desync.HANDOVER}\n"
            self._nft.run(gone + (desync.handover(wanted) if wanted else ""))
            return
        for family, program in PROGRAMS.items():
            there = _jumps(self._mangle(family))
            if wanted or there:
                await _restore(program, desync.iptables(wanted, there))


def _jumps(table: str) -> tuple[str, ...]:
    """The hooks that lead to our chain, as often as they do."""
    found, hook = [], ""
    for line in table.splitlines():
        if match := re.match(r"\s*chain (\S+) \{", line):
            hook = match[1]
        elif line.rstrip().endswith(f"jump {desync.CHAIN}"):
            found.append(hook)
    return tuple(found)


def _ours(table: str) -> str:
    body = table.partition(f"chain {desync.CHAIN} {{")[2].partition("}")[0]
    return " ".join([*_jumps(table), body])


def queues(launches: Sequence[Launch]) -> Queues:
    return tuple((launch.slot, launch.exit.number) for launch in launches if isinstance(launch.exit, Queue))


async def _restore(program: str, text: str) -> None:
    path = shutil.which(f"{program}-restore", path=PATH)
    if not path:
        raise OSError(
            f"this kernel's nftables knows no queue, and {program} is not here: install Debian's package iptables"
        )
    child = await asyncio.create_subprocess_exec(path, "--noflush", stdin=PIPE, stdout=DEVNULL, stderr=PIPE)
    _, error = await child.communicate(text.encode())
    if child.returncode:
        raise OSError(f"{program}-restore: {error.decode(errors='replace').strip()[:150]}")
