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

from routerd.host import conntrack, helpers, sysctl
from routerd.host.children import Child, Children
from routerd.host.lease import Lease
from routerd.host.links import Links
from routerd.host.monitor import Monitor, overlap, wan_is_up
from routerd.host.nft import NftError
from routerd.host.nudge import nudge
from routerd.host.queue import Handover
from routerd.host.routing import apply_addresses, apply_routes, apply_rules, interfaces
from routerd.host.rulesets import Rulesets
from routerd.host.traffic import Traffic
from routerd.model import (
    DIRECT_SLOT,
    ENGINES,
    LAST_SLOT,
    Direct,
    Drifted,
    Event,
    Exited,
    Launch,
    Link,
    Misapplied,
    Plan,
    Progressed,
    Queue,
    Resolved,
    Suspected,
    WanChanged,
)
from routerd.probe.https import ProbeError
from routerd.probe.lookup import lookup
from routerd.probe.prober import Prober
from routerd.probe.vigil import Vigil
from routerd.timing import Timing

SETTLE = 0.05  # seconds between a kernel event and our look at it: they come in swarms
SWEEP = 3.0  # seconds between looks at what the kernel announces to nobody: sysctls, and what it refused before
CALM = 60.0  # seconds that an alarm about another program is shown
RESTART = 0.5  # seconds before a service is started again
RESOLVER = "service:resolver"


class World:
    """`put` gets the events of everything that is watched here. `state`: the folder that outlives a boot."""

    def __init__(self, put: Callable[[Event], None], state: Path | None = None) -> None:
        self._put = put
        self._rulesets = Rulesets()
        self._links = Links()
        self._handover = Handover()
        self._children = Children(
            self._ended,
            lambda name, percent: put(Progressed(name, percent)),
            state,
            lambda name: put(Suspected(name, "refused")),
        )
        self._traffic = Traffic()
        self._prober = Prober(put, self._traffic.count)
        self._vigil = Vigil(put, self._traffic, self._prober)
        self._timing = Timing(put, self._report, state)
        self._lease = Lease(put)
        self._monitor = Monitor(self._routes_changed, self._ruleset_changed)
        self._netlink: AsyncIPRoute
        self._plan: Plan | None = None
        self._faults: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wan, self._line = "", True
        self.took_ms: dict[str, float] = {}  # how long the last apply and the last switch took

    async def __aenter__(self) -> World:
        self._netlink = AsyncIPRoute()
        await self._netlink.setup_endpoint()
        await self._links.probe(self._netlink)
        self._monitor.start()
        self._timing.start()
        self._tasks["lease"] = asyncio.create_task(self._lease.run())
        self._tasks["sweep"] = asyncio.create_task(self._sweep())
        self._tasks["vigil"] = asyncio.create_task(self._vigil.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leaves the ruleset, rules and routes standing: what is left without us is closed."""
        for task in self._tasks.values():
            task.cancel()
        self._monitor.stop()
        self._prober.apply(())
        self._timing.stop()
        await self._children.stop_all()
        self._traffic.close()
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
            await self._part("ruleset", self._rulesets.load_policy, plan)
        if before is None or before.launches != plan.launches:
            await self._part("handover", self._handover.apply, plan)
        await self._part("conntrack", partial(self._cut, before), plan)
        if before is not None and before.switch != plan.switch:  # after the cut, which nothing may hold up
            self._children.reset(RESOLVER)  # else names would go on by the exit that its connections began with
        if before is None or _kernel_part(before) != _kernel_part(plan):
            await self._part("lan", self._addresses, plan)
            await self._part("routing", self._routing, plan)
        if before is None or (before.launches, before.services) != (plan.launches, plan.services):
            self._plan = plan
            self._links.forget(_renewed(before, plan, self._links.makes))
            await self._children.apply(_children(plan, self._links.makes))
            await self._part("links", self._make_links, plan)
            self._report("helper", helpers.missing(each for launch in plan.launches for each in launch.helpers))
        self.took_ms["apply"] = (time.perf_counter() - began) * 1000
        self._traffic.launches = plan.launches
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
                await self._part("ruleset", self._rulesets.load_policy, plan)
                await self._part("handover", self._handover.apply, plan)
            case "handover":
                await self._part("handover", self._handover.apply, plan)
            case "clock":
                self._timing.keep(plan.clock)
            case "children":
                await self._children.apply(_children(plan, self._links.makes))
            case _:
                self._line_is(await wan_is_up(self._netlink, self._wan))
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
        await self._rulesets.load_guard(plan)
        self._put(Misapplied("guard_unlocked", "" if self._rulesets.locked else "this kernel cannot"))

    async def _switch(self, plan: Plan) -> None:
        if self._plan is not None:
            self._rulesets.switch(self._plan, plan)

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
        made = self._links.made()
        missing = await self._links.apply(self._netlink, plan.launches, plan.lan[1])
        for launch in plan.launches:
            if isinstance(launch.exit, Link) and (error := self._links.refused.get(launch.exit.ifname)):
                self._put(Exited(launch.name, error))
        if missing:
            for launch in plan.launches:
                if isinstance(launch.exit, Link) and launch.exit.ifname in made.intersection(missing):
                    self._put(Exited(launch.name, "its interface is gone"))  # renamed: wireguard-go would live on
            return  # wireguard-go is not ready yet; its interface's coming calls us again
        if any(isinstance(launch.exit, Link) for launch in plan.launches):
            await self._routing(plan)

    async def _cut(self, before: Plan | None, plan: Plan) -> None:
        """Flows of exits that are gone or made anew are cut at once, so that apps reconnect now.

        Direct ones too: while they go on sending, their old mark would have them refused for ever (fault 43).
        """
        old = _exits(before) if before else {DIRECT_SLOT: Direct()}  # a daemon before us may have left some
        new = _exits(plan)
        if gone := [slot for slot, way in old.items() if new.get(slot) != way]:
            # An engine's connections end with it; those through a link have nobody to end them.
            links = [e.slot for e in before.launches if isinstance(e.exit, Link | Queue)] if before else []
            dead = conntrack.tcp_flows(slot for slot in links if slot in gone)
            conntrack.cut(gone)
            nudge(dead)

    def _look_up(self, plan: Plan) -> None:
        for name, slot in plan.lookups:
            task = f"look up {name} through {slot}"
            if task not in self._tasks or self._tasks[task].done():
                self._tasks[task] = asyncio.create_task(self._resolve(name, slot, plan.resolvers))

    async def _resolve(self, name: str, slot: int, resolvers: int) -> None:
        """A transport's server name, by DoH the way that its packets will go, else through what is up."""
        pause = 1.0
        while self._plan is None or (name, slot) in self._plan.lookups:
            active = [probe.slot for probe in self._plan.probes if probe.watched] if self._plan else []
            for way in dict.fromkeys((slot, *active)):
                try:
                    self._put(Resolved(name, await lookup(name, resolvers, way, 4.0)))
                    self._put(Misapplied("lookup", ""))
                    return
                except ProbeError as e:
                    self._put(Misapplied("lookup", str(e)))
            self._put(Resolved(name, ()))
            await asyncio.sleep(pause)
            pause = min(60.0, pause * 2)
        self._put(Misapplied("lookup", ""))  # nobody asks for it any more

    def traffic(self) -> dict[str, tuple[int, int]]:
        """Bytes up and down of each transport that runs, on the WAN's wire."""
        return {name: (sample.up, sample.down) for name, sample in self._traffic.samples.items()}

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

    def _line_is(self, up: bool) -> None:
        if up and not self._line:
            self._children.reset(RESOLVER)  # its connections wait for retransmissions that are minutes away
        self._line = up
        self._put(WanChanged(up))

    def _ruleset_changed(self, pid: int) -> None:
        if pid != os.getpid():
            self._later("ruleset", 0.0, self._look_at_ruleset)

    async def _look_at_ruleset(self) -> None:
        self._put(Drifted("handover"))
        if self._rulesets.tampered():
            self._put(Misapplied("tampered", "within the last minute"))
            self._later("calm", CALM, self._calm)
            self._put(Drifted("ruleset"))

    async def _calm(self) -> None:
        self._put(Misapplied("tampered", ""))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            if self._plan and sysctl.differing(self._plan.sysctls):
                self._put(Drifted("sysctls"))
            for what, parts in (("ruleset", ("ruleset", "guard", "handover")), ("routes", ("lan", "routing", "links"))):
                if any(self._faults.get(part) for part in parts):  # the kernel may have been short of memory
                    self._put(Drifted(what))
            self._timing.look()

    def puts_sysctls_right(self) -> bool:
        """Whether any was wrong: with a strict rp_filter of another program's no answer of a transport arrives."""
        return bool(self._plan and sysctl.apply(self._plan.sysctls))

    def _later(self, what: str, delay: float, do: Callable[[], Awaitable[None]]) -> None:
        """Once, after `delay`, however often it is asked for meanwhile."""
        if what in self._tasks and not self._tasks[what].done():
            return

        async def run() -> None:
            await asyncio.sleep(delay)
            self._tasks.pop(what, None)
            await do()

        self._tasks[what] = asyncio.create_task(run())


def _children(plan: Plan, by_kernel: Callable[[Launch], bool]) -> list[Child]:
    launches = [launch for launch in plan.launches if not by_kernel(launch)]
    services = [
        Child(f"service:{service.name}", service.argv, service.stdin, ENGINES + LAST_SLOT + number)
        for number, service in enumerate(plan.services, 1)
    ]
    return [_child(launch) for launch in launches] + services


def _child(launch: Launch) -> Child:
    uid, helped = ENGINES + launch.slot, (launch.helpers, launch.needs_one)
    return Child(launch.name, launch.argv, launch.stdin, uid, launch.keeps, launch.tag, *helped)


def _exits(plan: Plan) -> dict[int, Child | Direct]:
    """Where flows may live, by slot: as long as it is the same child."""
    direct = {DIRECT_SLOT: Direct()} if plan.direct else {}
    return {**{launch.slot: _child(launch) for launch in plan.launches}, **direct}


def _renewed(before: Plan | None, plan: Plan, by_kernel: Callable[[Launch], bool]) -> list[str]:
    """The links of engines that are begun anew."""
    old = {launch.slot: _child(launch) for launch in before.launches} if before else {}
    begun = [launch for launch in plan.launches if old.get(launch.slot) != _child(launch)]
    made = [launch.exit for launch in begun if not by_kernel(launch)]
    return [link.ifname for link in made if isinstance(link, Link)]


def _kernel_part(plan: Plan) -> tuple[object, ...]:
    return (plan.rules, plan.routes, plan.sysctls, plan.lan)


def prepare_leases(runtime: Path) -> Path:
    """A folder on the RAM disk that dnsmasq, which is not root, may write to."""
    folder = runtime / "leases"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o1777)
    return folder / "dnsmasq.leases"
