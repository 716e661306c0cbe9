"""The six nouns' shapes: frozen data, no behaviour, no imports of ours.

Times are seconds on the monotonic clock that `step` was handed, unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from types import MappingProxyType
from typing import Literal

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface

# -- the mark: one byte of the fwmark and of the conntrack mark names a flow's exit ------------------------------
#
# The top byte, because Tailscale (0xff0000), Docker and Kubernetes (0xc000), mwan3 (0x3f00) and most VPN scripts
# use lower ones. Slot 0 is "no exit yet". Transports get 1..LAST_SLOT; the rest are exits that are always there.

SLOT_SHIFT = 24
SLOT_MASK = 0xFF << SLOT_SHIFT
LAST_SLOT = 0x5F
UPSTREAM_SLOT = 0x70  # an engine's own packets to its server: in clear on the WAN, to listed destinations only
DIRECT_SLOT = 0x71  # the owner said: these flows go out as they are
DIAGNOSE_SLOT = 0x72  # the owner asked what the network does to a host: the box's own, in clear, for half a minute
OWN_SLOT = 0x73  # the box's own traffic that must go the household's way (the resolver)
OWN_FLOW = 0x80  # added to the slot in the conntrack mark of a flow that the box itself opened
FLOW_MASK = SLOT_MASK & ~(OWN_FLOW << SLOT_SHIFT)  # of a conntrack mark: its slot, whoever opened the flow


def mark(slot: int) -> int:
    """The fwmark of `slot`, to be written under SLOT_MASK."""
    return slot << SLOT_SHIFT


# -- Transport: what should run, and how packets enter it ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tproxy:
    """An engine's transparent port, on 127.0.0.1 and ::1. `udp`, `quic` (UDP 443), `ipv6`: whether it carries them."""

    port: int
    udp: bool = True
    ipv6: bool = True
    quic: bool = True


@dataclass(frozen=True, slots=True)
class Link:
    """A kernel or tun interface. `ipv6`: whether it carries IPv6. `mtu` in bytes, of the inner packet."""

    ifname: str
    addresses: tuple[Interface, ...]
    mtu: int = 1420
    wireguard: str = field(default="", repr=False)  # wg(8) `setconf` text; holds the private key

    @property
    def ipv6(self) -> bool:
        return any(a.version == 6 for a in self.addresses)


@dataclass(frozen=True, slots=True)
class Direct:
    """The way out without any transport; only ever by the owner's word."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """No way out: the household is told so at once."""


Exit = Tproxy | Link | Direct | Refuse


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a transport's own packets may go in clear: one address, one protocol, ports first..last."""

    address: Address
    proto: Literal["tcp", "udp"]
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Launch:
    """What should run for one transport.

    `argv[0]` is an engine's name (`sing-box`, `xray`, `wireguard-go`), found on the box by host/engines.py. `stdin`
    holds the engine's configuration, secrets included, and is never printed.
    """

    name: str
    slot: int
    argv: tuple[str, ...]
    exit: Tproxy | Link
    upstreams: tuple[Upstream, ...]
    stdin: str = field(default="", repr=False)


# -- Event: something happened ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configured:
    """The settings are new; `step` gets them as its first argument."""


@dataclass(frozen=True, slots=True)
class Wished:
    """The owner wants this transport and no other, or (None) leaves the choice to us."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Exited:
    """A transport's child ended, or could not be started."""

    name: str
    error: str


Sign = Literal["refused", "silent", "mute", "hung", "stalled", "forged"]  # raise suspicion: signals.py, probe/vigil.py
# What a probe that failed has found. `slow`: it failed, and yet something came back from the transport's server.
Finding = Literal["refused", "silent", "hung", "frozen", "forged", "slow"]


@dataclass(frozen=True, slots=True)
class Suspected:
    """A cheap sign that a transport may be dead. It is probed at once; the sign alone leaves nothing."""

    name: str
    sign: Sign


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe through a transport came back: well, with `latency_ms`, or with an `error` and what that tells.

    `rate`: bytes per second, where it fetched something large. `sign`: the one that it was to look into.
    """

    name: str
    latency_ms: float | None
    error: str = ""
    finding: Finding = "silent"
    rate: float | None = None
    sign: Sign | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """Whether a transport that is up carries this too."""

    name: str
    what: Literal["udp", "ipv6"]
    ok: bool


@dataclass(frozen=True, slots=True)
class WanChanged:
    """The WAN port gained or lost its way out (carrier and a default route)."""

    up: bool


@dataclass(frozen=True, slots=True)
class Resolved:
    """A transport's server name has these addresses now."""

    host: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Drifted:
    """A part of the box may not look like the plan any more: routes, ruleset, sysctls or children. To be mended."""

    what: str


@dataclass(frozen=True, slots=True)
class Misapplied:
    """A part of the plan could not be applied (`error`), or could again (empty)."""

    what: str
    error: str


@dataclass(frozen=True, slots=True)
class Diagnosing:
    """The owner's diagnosis may send in clear `until` then; None when it is over."""

    until: float | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline came without any other event."""


Event = (
    Configured
    | Wished
    | Exited
    | Suspected
    | Probed
    | Carried
    | WanChanged
    | Resolved
    | Drifted
    | Misapplied
    | Diagnosing
    | Tick
)


# -- State: where we stand ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Starting:
    """Launched, and has not carried a probe yet. `failures` in a row before this try."""

    since: float
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Up:
    """Carries probes. `points` of evidence that it does not any more; any at all make it a suspect.

    `seen`: when a probe last came through. `failures`: how often it failed in a row before this; with any, it has to
    show itself before it is preferred. `sign`: what made it a suspect. `alarms`: signs that proved false, how often in
    a row, and until when they are not listened to. `lost`: how often in a row `udp` or `ipv6` did not come through.
    `rate` in bytes per second, of the last large answer.
    """

    since: float
    latency_ms: float
    points: int = 0
    failures: int = 0
    seen: float = 0.0
    sign: Sign | None = None
    alarms: tuple[tuple[Sign, int, float], ...] = ()
    lost: tuple[tuple[str, int], ...] = ()
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Down:
    """Left to rest until `until`. Its child is stopped and its flows are cut."""

    until: float
    failures: int
    error: str


Health = Starting | Up | Down


@dataclass(frozen=True, slots=True)
class State:
    """`active` carries new flows. `slots` outlive a transport's bad days, so that its flows keep their mark."""

    health: Mapping[str, Health] = field(default_factory=lambda: MappingProxyType({}))
    slots: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    addresses: Mapping[str, tuple[Address, ...]] = field(default_factory=lambda: MappingProxyType({}))
    faults: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    errors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # each transport's last one
    active: str | None = None
    wish: str | None = None
    last_good: str | None = None  # what carried the household before the box was restarted
    wan_up: bool = True
    wan_since: float = float("-inf")  # when that last changed
    since: float = 0.0
    diagnosing_until: float | None = None  # a diagnosis may send in clear until then


# -- Plan: how the box should look now ----------------------------------------------------------------------------


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
class Sample:
    """What the kernel has counted of one transport since its counters were made.

    `entered`: packets into the exit. `out`, `back`: packets to and from its server; `up`, `down`: their bytes.
    `resets`: of those back, TCP resets. `backlog`: connections that its engine has not taken yet, just now.
    """

    entered: int = 0
    out: int = 0
    up: int = 0
    back: int = 0
    down: int = 0
    resets: int = 0
    backlog: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole of it: nothing is left over from before.

    `guard`, `policy` and `switch` are nft texts. `policy` and `switch` make one batch; `switch` sends new flows to
    their exit, and is loaded alone where nothing else changed. `lookups`: names of servers without an address yet.
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
    lookups: tuple[str, ...]
    resolvers: int
    direct: bool = False  # whether new flows go out in clear


@dataclass(frozen=True, slots=True)
class Service:
    """A child that is no transport: dnsmasq, the resolver."""

    name: str
    argv: tuple[str, ...]
    stdin: str = field(default="", repr=False)


# -- Status: what a person should see -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    code: str
    severity: Literal["info", "warning", "error"]
    title: str
    cure: str


@dataclass(frozen=True, slots=True)
class TransportStatus:
    name: str
    kind: str
    state: Literal["up", "suspect", "down", "starting", "disabled"]
    latency_ms: int | None
    warm: bool
    last_error: str | None
    bytes_up: int
    bytes_down: int
    udp: bool
    ipv6: bool


@dataclass(frozen=True, slots=True)
class Status:
    version: str
    phase: Literal["open", "switching", "blocked", "offline", "closed"]
    mode: Literal["auto", "manual"]
    active: str | None
    since: str  # UTC, RFC 3339
    transports: tuple[TransportStatus, ...]
    problems: tuple[Problem, ...]
