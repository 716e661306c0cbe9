"""From where we stand to how the box should look. Pure, and complete: nothing is left over from before."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from routerd import lease
from routerd.ladder import carries
from routerd.model import (
    UPSTREAM_SLOT,
    Clock,
    Direct,
    Health,
    Interface,
    Launch,
    Link,
    Plan,
    Probe,
    Queue,
    Refuse,
    Route,
    Rule,
    Starting,
    State,
    Tproxy,
    Up,
    Upstream,
    beneath,
)
from routerd.render import dns, guard, policy, routing
from routerd.settings import Entry, Settings
from routerd.slots import shared_slots
from routerd.subscriptions import is_public
from routerd.table import is_address
from routerd.transports import Transport, chain

# Seconds between probes where nothing is suspected: the kernel's signs are free, and come sooner. A probe costs 5 to
# 15 KB, a large one 70 to 80: python -m bench.frugal has the prices.
ACTIVE_EVERY, STANDBY_EVERY, LARGE_EVERY = 100.0, 240.0, 7200.0
DOUBTED_EVERY, NAMES_EVERY = 1.0, 1.5
STARTING_EVERY, SLOWEST_START = 0.5, 6.0  # the rarer, the more often it has failed
MANY = 5  # failures in a row, from which on that counts
# By different operators, and blocked by name wherever much is: asked where the owner names no canary.
WALLED = ("https://www.youtube.com/", "https://www.instagram.com/", "https://www.facebook.com/")
METERED = 4.0  # times rarer where the owner pays by the megabyte


def plan(settings: Settings, state: State, leases: str) -> Plan:
    """`leases`: the file on a RAM disk where dnsmasq keeps its leases."""
    ports = ports_of(settings)
    able = _able(settings, state)
    launches = tuple(_limited(settings, state, able, name) for name in able)
    chosen = choice(settings, state, {launch.name: launch.slot for launch in launches})
    may_go_direct = settings.on_failure == "direct"
    diagnosing = state.diagnosing_until is not None
    asked = _asked_directly(settings, state, launches)
    names_port = dns.port_of(UPSTREAM_SLOT, 0)
    rules = policy.Policy(ports, launches, may_go_direct, asked, diagnosing, names_port=names_port)
    addresses: tuple[Interface, ...] = (settings.address, *([settings.address6] if settings.address6 else []))
    return Plan(
        guard=guard.guard(ports),
        policy=policy.policy(rules),
        switch=policy.switch(chosen),
        rules=routing.rules(ports, launches, may_go_direct, diagnosing),
        routes=routing.routes(ports, launches),
        sysctls=routing.sysctls(ports, launches, may_go_direct),
        lan=(settings.lan, addresses),
        services=(
            dns.resolver(settings, {*state.slots.values(), *shared_slots(settings)}),
            dns.dnsmasq(settings, leases),
        ),
        launches=launches,
        probes=tuple(_probe(settings, state, launch) for launch in able.values()),
        lookups=_unresolved(settings, state),
        resolvers=len(settings.resolvers),
        direct=isinstance(chosen, Direct),
        clock=_clock(settings, state, launches),
    )


def closed(settings: Settings | None, leases: str) -> Plan:
    """Nothing may leave: at boot, and without readable settings. The LAN itself goes on where it is known."""
    if settings is not None:
        none = dataclasses.replace(settings, transports={}, on_failure="block")
        return dataclasses.replace(plan(none, State(), leases), lookups=())
    rules: tuple[Rule, ...] = ()
    routes: tuple[Route, ...] = ()
    off = (("net/ipv4/ip_forward", "0"), ("net/ipv6/conf/all/forwarding", "0"))
    return Plan(guard.guard(None), policy.closed(), "", rules, routes, off, ("", ()), (), (), (), (), 0)


def ports_of(settings: Settings) -> guard.Ports:
    return guard.Ports(settings.lan, settings.wan, settings.address, settings.address6, settings.web_port)


def _able(settings: Settings, state: State) -> dict[str, Launch]:
    """What can run: nothing without all that it travels inside."""
    found = {name: launch for name in state.health if (launch := _launch(settings, state, name))}
    return {name: launch for name, launch in found.items() if found.keys() >= set(beneath(settings.via, name))}


def _launch(settings: Settings, state: State, name: str) -> Launch | None:
    """None while it rests, while its server's name has no address yet, or while it has to wait for the date."""
    entry, health = settings.transports[name], state.health[name]
    if not isinstance(health, Starting | Up):
        return None
    located, via = _located(settings, state, entry), _way(settings, state, name)
    if located is None:
        return None
    launch = located.launch(name, state.slots[name], via)
    launch = dataclasses.replace(launch, via=via, tag=located.engine.tag, bold=_is_bold(launch, health))
    return None if _waits_for_the_date(state, health, launch) else launch


def _is_bold(launch: Launch, health: Starting | Up) -> bool:
    """A tunnel over TCP, where each packet costs; but not at a try after one that failed: the line may be narrow."""
    over_tcp = isinstance(launch.exit, Link) and any(to.proto == "tcp" for to in launch.upstreams)
    return over_tcp and not (isinstance(health, Starting) and health.failures)


def _way(settings: Settings, state: State, name: str) -> int:
    """The slot that its own packets carry."""
    outer = settings.transports[name].via
    return state.slots[outer] if outer else UPSTREAM_SLOT


def _waits_for_the_date(state: State, health: Starting | Up, launch: Launch) -> bool:
    """A WireGuard server refuses whoever shows it an earlier date than before: one from the future locks us out.

    So where the clock may stand there, its first try waits for the date; a later one does not.
    """
    untried = isinstance(health, Starting) and not health.failures
    return state.doubted and untried and isinstance(launch.exit, Link) and bool(launch.exit.wireguard)


def _located(settings: Settings, state: State, entry: Entry) -> Transport | None:
    """The transport with its server's address in the place of its name. No node of a group leads into a home."""
    transport = entry.transport
    if is_address(transport.server):
        return transport
    if lease.asks_it(entry):
        address = lease.resolver(settings, state)
    else:
        known = state.addresses.get(transport.server, ())
        address = next((one for one in known if not entry.group or is_public(one)), None)
    return dataclasses.replace(transport, server=str(address)) if address else None


def _limited(settings: Settings, state: State, able: Mapping[str, Launch], name: str) -> Launch:
    """What it does not carry (the owner says so, it was seen, or what it is inside does not) is refused at once."""
    entry, health, launch = settings.transports[name], state.health[name], able[name]
    if entry.via:
        launch = chain.inside(launch, _limited(settings, state, able, entry.via))
    if isinstance(launch.exit, Link):
        return _without_ipv6(launch, launch.exit) if not (entry.ipv6 and carries(health, "ipv6")) else launch
    udp, ipv6 = launch.exit.udp and carries(health, "udp"), launch.exit.ipv6 and entry.ipv6 and carries(health, "ipv6")
    return dataclasses.replace(launch, exit=dataclasses.replace(launch.exit, udp=udp, ipv6=ipv6))


def _without_ipv6(launch: Launch, link: Link) -> Launch:
    """Whether the server gives it an address of that family is known only once it was tried."""
    return dataclasses.replace(launch, exit=dataclasses.replace(link, families=link.families[:1]))


def choice(settings: Settings, state: State, slots: Mapping[str, int]) -> int | Direct | Refuse:
    """Where new flows go. `slots`: of what can run."""
    if not state.wan_up:  # what an engine let wait would storm its server, all at once, when the line is back
        return Refuse()
    if state.active is not None and state.active in slots:
        return slots[state.active]
    # The owner opened it for failures only: while transports are still being tried for the first time, it stays shut.
    return Direct() if settings.on_failure == "direct" and _tried(state) and state.wish is None else Refuse()


def _tried(state: State) -> bool:
    return bool(state.health) and not any(isinstance(h, Starting) and not h.failures for h in state.health.values())


def _asked_directly(settings: Settings, state: State, launches: tuple[Launch, ...]) -> tuple[Upstream, ...]:
    """Asked straight from the box: while a server has no address, or an engine looks up its servers by itself.

    And for the date while nothing else works.
    """
    unknown = any(slot == UPSTREAM_SLOT for _, slot in _unresolved(settings, state))
    asked = settings.resolvers if unknown or any(launch.asks for launch in launches) else ()
    dated = settings.time_sources if _asks_directly(state, launches) else ()
    return tuple(map(_upstream, (*asked, *dated)))


def _upstream(url: str) -> Upstream:
    parts = urlsplit(url)
    port = parts.port or 443
    return Upstream(ip_address(parts.hostname or ""), "tcp", port, port)


def _clock(settings: Settings, state: State, launches: tuple[Launch, ...]) -> Clock:
    """Who is asked for the date, and which way: through the active exit, else by any way; never without a line."""
    slots = {launch.name: launch.slot for launch in launches}
    direct = _asks_directly(state, launches)
    ways = (*slots.values(), *([UPSTREAM_SLOT] if direct else ()))
    if proven := state.active in slots:
        ways = (slots[state.active or ""],)
    return Clock(state.booted, settings.time_sources, ways if state.wan_up else (), proven, direct)


def _asks_directly(state: State, launches: tuple[Launch, ...]) -> bool:
    """A wrong clock may be why no transport works, why no server's name is found, or what a link waits for."""
    stuck = not launches and (state.doubted or "lookup" in state.faults)
    return state.booted is None and state.active is None and bool(state.health) and (_tried(state) or stuck)


def _unresolved(settings: Settings, state: State) -> tuple[tuple[str, int], ...]:
    """Names without an address, and the way each is asked for: as its packets will go."""
    running = [settings.transports[name] for name, h in state.health.items() if isinstance(h, Starting | Up)]
    named = [entry for entry in running if not lease.asks_it(entry)]
    found = {(entry.transport.server, _way(settings, state, entry.name)) for entry in named}
    return tuple(sorted((n, slot) for n, slot in found if not is_address(n) and n not in state.addresses))


def covered_way(settings: Settings, state: State, launches: tuple[Launch, ...]) -> int | None:
    """The slot by which what nobody on the line may see is fetched: through the active exit, else another that is up.

    Never straight out: the address of a subscription is a password.
    """
    ups = [
        launch
        for launch in launches
        if isinstance(state.health.get(launch.name), Up)
        and not settings.transports[launch.name].transport.carries.straight
    ]
    ups.sort(key=lambda launch: launch.name != state.active)
    return ups[0].slot if ups and state.wan_up else None


def _targets(settings: Settings, launch: Launch) -> tuple[str, ...]:
    """Straight out, what nobody blocks shows nothing: health there is that what is blocked can be reached."""
    if isinstance(launch.exit, Queue):
        return settings.canaries or WALLED
    return settings.targets + settings.canaries


def _probe(settings: Settings, state: State, launch: Launch) -> Probe:
    health, active = state.health[launch.name], state.health.get(state.active or "")
    # A switch is no gamble: while the active one is doubted, its standbys show that they are well.
    doubted = isinstance(active, Up) and active.points > 0
    return Probe(
        launch.name,
        launch.slot,
        _targets(settings, launch),
        len(settings.resolvers),
        _every(settings, state, launch.name),
        urgent=(health.points if isinstance(health, Up) else 0) or int(doubted),
        sign=health.sign if isinstance(health, Up) else None,
        large=settings.large,
        large_every=LARGE_EVERY * (METERED if settings.metered else 1),
        udp=tuple(urlsplit(url).hostname or "" for url in settings.resolvers) if _offers_udp(launch) else (),
        watched=launch.name == state.active,
        canaries=settings.canaries,
        names_every=NAMES_EVERY * (METERED if settings.metered else 1),
    )


def _every(settings: Settings, state: State, name: str) -> float:
    health = state.health[name]
    if isinstance(health, Starting):
        return min(SLOWEST_START, STARTING_EVERY * max(1.0, health.failures / MANY) ** 2)
    if (isinstance(health, Up) and health.points) or _vouches(settings, state, name):
        return DOUBTED_EVERY
    every = ACTIVE_EVERY if name == state.active else STANDBY_EVERY
    return every * (METERED if settings.metered else 1)


def _vouches(settings: Settings, state: State, name: str) -> bool:
    """Whether one that travels inside it may fail, or has yet to show itself: whose fault it is shows in this one."""
    inner = [n for n, health in state.health.items() if _in_question(health)]
    return any(name in beneath(settings.via, n) for n in inner)


def _in_question(health: Health) -> bool:
    return isinstance(health, Starting) or (isinstance(health, Up) and health.points > 0)


def _offers_udp(launch: Launch) -> bool:
    """Straight out, port 53 is shut, by which UDP is tried."""
    return isinstance(launch.exit, Link) or (isinstance(launch.exit, Tproxy) and launch.exit.udp)
