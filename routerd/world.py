"""apply: makes the box look like the plan. May be repeated at will; the only verb that touches the world.

The order is the safety: what refuses comes first, what lets through comes last. A part that fails is reported as a
Misapplied event and does not stop the others; what stood before it stays in force.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from routerd.host import conntrack, sysctl
from routerd.host.children import Child, Children
from routerd.host.links import Links
from routerd.host.monitor import Monitor, overlap, wan_is_up
from routerd.host.nft import Nft, NftError, OwnedTable, outline
from routerd.host.routing import apply_addresses, apply_routes, apply_rules, interfaces
from routerd.model import (
    DIRECT_SLOT,
    UPSTREAM_SLOT,
    Drifted,
    Event,
    Exited,
    Link,
    Misapplied,
    Plan,
    Resolved,
    WanChanged,
)
from routerd.probe.https import ProbeError
from routerd.probe.lookup import lookup
from routerd.probe.prober import Prober
from routerd.render.guard import GUARD
from routerd.render.policy import POLICY
from routerd.timing import Timing

SETTLE = 0.05  # seconds between a kernel event and our look at it: they come in swarms
SWEEP = 3.0  # seconds between looks at what the kernel announces to nobody (sysctls)
RESTART = 0.5  # seconds before a service is started again


class World:
    """`put` gets the events of everything that is watched here. `state`: the folder that outlives a boot."""

    def __init__(self, put: Callable[[Event], None], state: Path | None = None) -> None:
        self._put = put
        self.nft = Nft()
        self._guard = OwnedTable(GUARD)
        self._links = Links()
        self._children = Children(self._ended)
        self._prober = Prober(put)
        self._timing = Timing(put, self._report, state)
        self._monitor = Monitor(self._routes_changed, self._ruleset_changed)
        self._netlink: AsyncIPRoute
        self._plan: Plan | None = None
        self._faults: dict[str, str] = {}
        self._read_back: tuple[str, str] | None = None  # None: another program was faster than our look
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wan = ""
        self.took_ms: dict[str, float] = {}  # how long the last apply and the last switch took

    async def __aenter__(self) -> World:
        self._netlink = AsyncIPRoute()
        await self._netlink.setup_endpoint()
        await self._links.probe(self._netlink)
        self._monitor.start()
        self._timing.start()
        self._tasks["sweep"] = asyncio.create_task(self._sweep())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leaves the ruleset, rules and routes standing: what is left without us is closed."""
        for task in self._tasks.values():
            task.cancel()
        self._monitor.stop()
        self._prober.apply(())
        self._timing.stop()
        await self._children.stop_all()
        self._netlink.close()

    # -- apply ----------------------------------------------------------------------------------------------------

    async def apply(self, plan: Plan) -> None:
        before, began = self._plan, time.perf_counter()
        self._timing.keep(plan.clock)
        if before is not None and before.switch != plan.switch:
            await self._part("ruleset", self._switch, plan)
            self.took_ms["switch"] = (time.perf_counter() - began) * 1000
        if before is None or before.guard != plan.guard:
            await self._part("guard", self._load_guard, plan)
        if before is None or before.policy != plan.policy:
            await self._part("ruleset", self._load_policy, plan)
        if before is None or _kernel_part(before) != _kernel_part(plan):
            await self._part("lan", self._addresses, plan)
            await self._part("routing", self._routing, plan)
        if before is None or (before.launches, before.services) != (plan.launches, plan.services):
            self._plan = plan
            await self._children.apply(_children(plan, bool(self._links.kernel)))
            await self._part("links", self._make_links, plan)
            await self._part("conntrack", partial(self._cut, before), plan)
        self.took_ms["apply"] = (time.perf_counter() - began) * 1000
        self._prober.apply(plan.probes)
        self._timing.ask(plan.clock)
        self._plan = plan
        self._look_up(plan)

    async def mend(self, what: str) -> None:
        """Compares one part of the box with the plan, and puts back what differs."""
        if (plan := self._plan) is None:
            return
        match what:
            case "ruleset":
                await self._part("guard", self._load_guard, plan)
                await self._part("ruleset", self._load_policy, plan)
            case "clock":
                self._timing.keep(plan.clock)
            case "children":
                await self._children.apply(_children(plan, bool(self._links.kernel)))
            case _:
                self._put(WanChanged(await wan_is_up(self._netlink, self._wan)))
                self._put(Misapplied("overlap", await overlap(self._netlink, self._wan, plan.lan[1])))
                await self._part("lan", self._addresses, plan)
                await self._part("links", self._make_links, plan)
                await self._part("routing", self._routing, plan)

    async def close_routing(self, plan: Plan) -> None:
        """Rules, routes and sysctls alone: early boot has no engines, and may have no interfaces yet."""
        await self._routing(plan)

    async def _part(self, what: str, do: Callable[[Plan], Awaitable[None]], plan: Plan) -> None:
        try:
            await do(plan)
            error = ""
        except (NftError, NetlinkError, OSError, ValueError) as e:
            error = str(e)[:200]
        self._report(what, error)

    def _report(self, what: str, error: str) -> None:
        if self._faults.get(what, "") != error:
            self._faults[what] = error
            self._put(Misapplied(what, error))

    async def _load_guard(self, plan: Plan) -> None:
        """Never rewritten while it is as it should be; locked where the kernel can."""
        if outline(self.nft.listing(GUARD)) != outline(plan.guard):
            self._guard.load(self.nft, plan.guard)
        elif not self._guard.locked:
            self._guard.adopt()
        if outline(self.nft.listing(GUARD)) != outline(plan.guard):
            raise NftError("the guard table was not what we loaded when read back")
        self._put(Misapplied("guard_unlocked", "" if self._guard.locked else "this kernel cannot"))

    async def _load_policy(self, plan: Plan) -> None:
        self.nft.run(plan.policy + plan.switch)
        self._remember_listing(plan.policy + plan.switch, plan.guard)
        if self._read_back is None:
            raise NftError("the ruleset was not what we loaded when read back")

    async def _switch(self, plan: Plan) -> None:
        """The choice alone, at once. Where it needs an exit that is not there yet, the whole policy follows."""
        before = self._plan
        if before is not None and all(launch in before.launches for launch in plan.launches):
            self.nft.run(plan.switch)
            self._remember_listing(before.policy + plan.switch, before.guard)

    def _remember_listing(self, policy: str, guard: str) -> None:
        """Only what is as it should be: a table that was flushed since would else pass for unchanged, and stay so."""
        found = (self.nft.listing(POLICY), self.nft.listing(GUARD))
        same = (outline(found[0]), outline(found[1])) == (outline(policy), outline(guard))
        self._read_back = found if same else None

    async def _addresses(self, plan: Plan) -> None:
        name, addresses = plan.lan
        index = (await interfaces(self._netlink)).get(name)
        if index is not None:
            await apply_addresses(self._netlink, index, addresses, only=False)
        elif name:
            raise OSError(f"there is no interface {name}")

    async def _routing(self, plan: Plan) -> None:
        await apply_rules(self._netlink, plan.rules)
        await apply_routes(self._netlink, plan.routes, await interfaces(self._netlink))
        sysctl.apply(plan.sysctls)

    async def _make_links(self, plan: Plan) -> None:
        if await self._links.apply(self._netlink, plan.launches):
            return  # wireguard-go is not ready yet; its interface's coming calls us again
        if any(isinstance(launch.exit, Link) for launch in plan.launches):
            await self._routing(plan)

    async def _cut(self, before: Plan | None, plan: Plan) -> None:
        """Flows of exits that are gone or made anew are cut at once, so that apps reconnect now."""
        old = {launch.slot: launch for launch in before.launches} if before else {}
        new = {launch.slot: launch for launch in plan.launches}
        gone = [slot for slot, launch in old.items() if new.get(slot) != launch]
        if gone:
            conntrack.cut([*gone, DIRECT_SLOT])

    def _look_up(self, plan: Plan) -> None:
        for name in plan.lookups:
            task = f"look up {name}"
            if task not in self._tasks or self._tasks[task].done():
                self._tasks[task] = asyncio.create_task(self._resolve(name, plan.resolvers))

    async def _resolve(self, name: str, resolvers: int) -> None:
        """A transport's server name, by DoH from the box itself; tried until it is known."""
        pause = 1.0
        while self._plan is None or name in self._plan.lookups:
            try:
                self._put(Resolved(name, await lookup(name, resolvers, UPSTREAM_SLOT, 4.0)))
                self._put(Misapplied("lookup", ""))
                return
            except ProbeError as e:
                self._put(Misapplied("lookup", str(e)))
            await asyncio.sleep(pause)
            pause = min(60.0, pause * 2)

    # -- what the world says --------------------------------------------------------------------------------------

    def watch_wan(self, wan: str) -> None:
        self._wan = wan
        self._routes_changed()

    def _ended(self, name: str, error: str) -> None:
        if name.startswith("service:"):
            self._put(Misapplied(name.removeprefix("service:"), error))
            self._later("children", RESTART, self._restart)
        else:
            self._put(Exited(name, error))

    async def _restart(self) -> None:
        self._put(Drifted("children"))
        await asyncio.sleep(2 * RESTART)
        for name in self._children.pids():
            if name.startswith("service:"):
                self._put(Misapplied(name.removeprefix("service:"), ""))

    def _routes_changed(self) -> None:
        self._later("routes", SETTLE, self._look_at_routes)

    async def _look_at_routes(self) -> None:
        self._put(Drifted("routes"))

    def _ruleset_changed(self, pid: int) -> None:
        if pid != os.getpid():
            self._later("ruleset", 0.0, self._look_at_ruleset)

    async def _look_at_ruleset(self) -> None:
        if (self.nft.listing(POLICY), self.nft.listing(GUARD)) != self._read_back:
            self._put(Drifted("ruleset"))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            if self._plan and sysctl.differing(self._plan.sysctls):
                self._put(Drifted("sysctls"))
            self._timing.look()

    def _later(self, what: str, delay: float, do: Callable[[], Awaitable[None]]) -> None:
        """Once, after `delay`, however often it is asked for meanwhile."""
        if what in self._tasks and not self._tasks[what].done():
            return

        async def run() -> None:
            await asyncio.sleep(delay)
            self._tasks.pop(what, None)
            await do()

        self._tasks[what] = asyncio.create_task(run())


def _children(plan: Plan, kernel_wireguard: bool) -> list[Child]:
    launches = [launch for launch in plan.launches if not (kernel_wireguard and isinstance(launch.exit, Link))]
    services = [Child(f"service:{s.name}", s.argv, s.stdin) for s in plan.services]
    return [Child(launch.name, launch.argv, launch.stdin) for launch in launches] + services


def _kernel_part(plan: Plan) -> tuple[object, ...]:
    return (plan.rules, plan.routes, plan.sysctls, plan.lan)


def prepare_leases(runtime: Path) -> Path:
    """A folder on the RAM disk that dnsmasq, which is not root, may write to."""
    folder = runtime / "leases"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o1777)
    return folder / "dnsmasq.leases"
