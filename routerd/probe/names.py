"""Addresses of probe targets: asked through the exit that is probed, kept for a while, and looked at for forgery.

An answer that shares nothing with the addresses where the site has shown its certificate may be a lie, or a content
network's next machine: it is looked into, and convicts nobody.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from routerd.model import Probe
from routerd.probe.https import ProbeError
from routerd.probe.lookup import lookup_at
from routerd.table import is_address

REMEMBER = 1800.0  # seconds an address is used without asking again: to ask costs as much as to probe
BRIEFLY = 1.0  # seconds to ask anew, where an older answer would do
ENOUGH = 64  # addresses known of one site

Key = tuple[str, str]  # a transport's name, a host


@dataclass(slots=True)
class Names:
    """Of all transports: each has answers of its own."""

    remember: float = REMEMBER
    _found: dict[Key, tuple[float, str]] = field(default_factory=dict)
    _shown: dict[str, set[str]] = field(default_factory=dict)
    doubted: dict[str, set[str]] = field(default_factory=dict)  # a transport's name -> targets that it answered oddly

    async def address(self, probe: Probe, target: str, timeout: float) -> str:
        """What is known will do while there is a doubt about anything but names; else it is asked anew in time.

        Where the site has proved to be through another exit will do then, too: look-ups may be what hangs.
        """
        host = urlsplit(target).hostname or ""
        if is_address(host):
            return host
        until, known = self._found.get((probe.name, host), (0.0, ""))
        if known and probe.sign != "forged" and (probe.urgent or time.monotonic() < until):
            return known
        if probe.sign not in (None, "forged") and (shown := self._shown.get(host)):
            return random.choice(sorted(shown))
        all_ = range(probe.resolvers)
        if not known:
            return await self._ask(probe, host, all_, timeout)
        try:
            return await self._ask(probe, host, all_ if probe.urgent else random.sample(all_, 1), BRIEFLY)
        except ProbeError:
            return known

    async def _ask(self, probe: Probe, host: str, resolvers: Iterable[int], timeout: float) -> str:
        address = str((await lookup_at(resolvers, host, probe.slot, timeout))[0])
        self._found[probe.name, host] = (time.monotonic() + self.remember, address)
        return address

    def shown(self, target: str, address: str) -> None:
        """The site has proved to be there."""
        addresses = self._shown.setdefault(urlsplit(target).hostname or "", set())
        if len(addresses) < ENOUGH:
            addresses.add(address)

    async def odd(self, probe: Probe, target: str, other: Probe | None) -> bool:
        """Whether the exit's answer of this moment has nothing of what is known, nor of what `other` exit answers.

        No answer at all is not odd; and what two exits agree on is no exit's fault.
        """
        host = urlsplit(target).hostname or ""
        if is_address(host) or not (found := await _asked(probe, host)) or found & self._shown.get(host, set()):
            return False
        compared = await _asked(other, host) if other else set()
        if found & compared or not (compared or self._shown.get(host)):
            return False
        self.doubted.setdefault(probe.name, set()).add(target)
        return True


async def _asked(probe: Probe, host: str) -> set[str]:
    try:
        one = random.randrange(probe.resolvers)  # they take turns, to spare the line
        return set(map(str, await lookup_at((one,), host, probe.slot, BRIEFLY)))
    except ProbeError:
        return set()
