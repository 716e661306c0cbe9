"""Plan: how the box should look now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from routerd.model.event import Sign
from routerd.model.transport import Interface, Launch


@dataclass(frozen=True, slots=True)
class Rule:
    """One `ip rule`. Selectors that are None or empty do not count. `action`: a table to look up, or prohibit."""

    family: Literal[4, 6]
    priority: int
    table: int | None  # None: prohibit
    mark: int | None = None
    iif: str = ""
    to: str = ""
    ports: tuple[int, int] | None = None  # UDP source and destination port
    uid: int | None = None  # of the socket's owner
    suppress_default: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a table of ours: to `dev` (scope link, or local), or unreachable when `dev` is empty."""

    family: Literal[4, 6]
    table: int
    to: str
    dev: str = ""
    local: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """Fetch a target through `slot` about every `interval` seconds; at once when `urgent` grows.

    `large`: what is fetched now and then, at once when the `sign` is "stalled", because some censors let only the
    beginning pass; about every `large_every` seconds. `resolvers`: how many there are to ask; `udp`: their addresses,
    asked by UDP through the exit. `watched`: carries the household, so the names it gives are looked at, those of the
    `canaries` among `targets` before others, about every `names_every` seconds in which the household asks for some.
    """

    name: str
    slot: int
    targets: tuple[str, ...]
    resolvers: int
    interval: float
    urgent: int = 0
    sign: Sign | None = None
    large: tuple[str, ...] = ()
    large_every: float = 0.0
    udp: tuple[str, ...] = ()
    watched: bool = False
    canaries: tuple[str, ...] = ()
    names_every: float = 0.0


@dataclass(frozen=True, slots=True)
class Clock:
    """What the clock should show (`booted`, as in State), and through which slots the `sources` are asked for it.

    `proven`: the one way is the active exit. `direct`: one way is straight from the box.
    """

    booted: float | None = None
    sources: tuple[str, ...] = ()
    ways: tuple[int, ...] = ()
    proven: bool = False
    direct: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole of it: nothing is left over from before.

    `guard`, `policy` and `switch` are nft texts. `policy` and `switch` make one batch; `switch` sends new flows to
    their exit, and is loaded alone where nothing else changed. `lookups`: names of servers without an address yet, and
    the slot through which each is asked for.
    """

    guard: str
    policy: str
    switch: str
    rules: tuple[Rule, ...]
    routes: tuple[Route, ...]
    sysctls: tuple[tuple[str, str], ...]
    lan: tuple[str, tuple[Interface, ...]]
    services: tuple[Service, ...]
    launches: tuple[Launch, ...]
    probes: tuple[Probe, ...]
    lookups: tuple[tuple[str, int], ...]
    resolvers: int
    direct: bool = False  # whether new flows go out in clear
    clock: Clock = Clock()


@dataclass(frozen=True, slots=True)
class Service:
    """A child that is no transport: dnsmasq, the resolver."""

    name: str
    argv: tuple[str, ...]
    stdin: str = field(default="", repr=False)
