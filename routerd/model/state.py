"""State: where we stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from routerd.model.event import Sign
from routerd.model.transport import Address, beneath

PATIENCE = 12.0  # seconds for a new transport to carry its first probe


@dataclass(frozen=True, slots=True)
class Starting:
    """Launched, and has not carried a probe yet. `failures` in a row before this try.

    `patience`: seconds that it is given, where its kind needs more than most. `one_of_many`: a node of a subscription.
    """

    since: float
    failures: int = 0
    patience: float = PATIENCE
    one_of_many: bool = False


@dataclass(frozen=True, slots=True)
class Up:
    """Carries probes. `points` of evidence that it does not any more; any at all make it a suspect.

    `seen`: when a probe last came through. `failures`: how often it failed in a row before this; with any, it has to
    show itself before it is preferred. `sign`: what made it a suspect; `owed`: what has yet to be
    listened to, when that can be. `alarms`: signs that proved false, how often in a row, and until when they are not
    listened to. `lost`: how often in a row `udp` or `ipv6` did not come through.
    `rate` in bytes per second, of the last large answer. `doubted`: since when there are points; 0.0 without any.
    """

    since: float
    latency_ms: float
    points: int = 0
    failures: int = 0
    seen: float = 0.0
    sign: Sign | None = None
    owed: Sign | None = None
    alarms: tuple[tuple[Sign, int, float], ...] = ()
    lost: tuple[tuple[str, int], ...] = ()
    rate: float | None = None
    doubted: float = 0.0


@dataclass(frozen=True, slots=True)
class Down:
    """Left to rest until `until`. Its child is stopped and its flows are cut."""

    until: float
    failures: int
    error: str


Health = Starting | Up | Down


@dataclass(frozen=True, slots=True)
class State:
    """`active` carries new flows. `slots` outlive a transport's bad days, so that its flows keep their mark.

    `measured`: the latency in ms of each node of a subscription that carried its last probe, whether it runs or not.
    `looked`: when a node of a subscription, all of whose nodes had been tried, was last tried again.
    """

    health: Mapping[str, Health] = field(default_factory=lambda: MappingProxyType({}))
    slots: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    addresses: Mapping[str, tuple[Address, ...]] = field(default_factory=lambda: MappingProxyType({}))
    resolvers: tuple[Address, ...] = ()  # those that the line's lease names
    faults: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    errors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # each transport's last one
    measured: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    looked: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    active: str | None = None
    wish: str | None = None
    carried: tuple[str, ...] = ()  # what carried the household, the latest first; outlives a restart
    wan_up: bool = True
    wan_since: float = float("-inf")  # when that last changed
    since: float = 0.0
    diagnosing_until: float | None = None  # a diagnosis may send in clear until then
    booted: float | None = None  # the date, as Dated says it; None: not known yet
    doubted: bool = False  # the clock may stand in the future
    via: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # as in Settings

    def beneath(self, name: str) -> tuple[str, ...]:
        """What `name` travels inside, the nearest first."""
        return beneath(self.via, name)

    def having(self, health: Mapping[str, Health]) -> State:
        """With these, and the others' health as it is."""
        return replace(self, health=MappingProxyType({**self.health, **health}))

    def saying(self, name: str, error: str) -> State:
        """With this as its last error."""
        return replace(self, errors=MappingProxyType({**self.errors, name: error}))
