"""Event: something happened. What the kernel has counted (Sample) is what some of them are read out of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from routerd.model.transport import Address


@dataclass(frozen=True, slots=True)
class Configured:
    """The settings are new; `step` gets them as its first argument. `changed`: another transport has the name now."""

    changed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wished:
    """The owner wants this transport and no other, or (None) leaves the choice to us."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Exited:
    """A transport's child ended, or could not be started."""

    name: str
    error: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """A transport's engine, which needs a while to start, says how far it has come."""

    name: str
    percent: int


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
class Leased:
    """The line's lease names these resolvers now; none: it names no more."""

    resolvers: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A transport's server name has these addresses now; none: nobody knows one."""

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
class Dated:
    """Enough sources agree on the date. `booted`: the Unix time at which CLOCK_BOOTTIME was 0."""

    booted: float


@dataclass(frozen=True, slots=True)
class Doubted:
    """The clock is so far ahead of the last date we know that it may stand in the future."""


@dataclass(frozen=True, slots=True)
class ClockSet:
    """The clock was wrong, and has been set forward by so many seconds; back, if negative."""

    by: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline came without any other event."""


Event = (
    Configured
    | Wished
    | Exited
    | Progressed
    | Suspected
    | Probed
    | Carried
    | WanChanged
    | Leased
    | Resolved
    | Drifted
    | Misapplied
    | Diagnosing
    | Dated
    | Doubted
    | ClockSet
    | Tick
)


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
