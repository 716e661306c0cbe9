"""Households, and what happens to them, second by second."""

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Interface
from types import MappingProxyType

from routerd.links import parse
from routerd.model import Configured, Event, Finding, Probed, Sign, State, Up
from routerd.settings import Entry, Settings, Subscription
from routerd.watchdog import step

TROJAN = parse("trojan://x@192.0.2.1:443?sni=a.example").transport


def household(*names: str, disabled: Iterable[str] = (), **more: object) -> Settings:
    entries = {name: Entry(name, TROJAN, name not in tuple(disabled)) for name in names}
    base = Settings("eth0", "br-lan", IPv4Interface("192.168.77.1/24"), transports=MappingProxyType(entries))
    return replace(base, **more)  # type: ignore[arg-type]


def subscribed(settings: Settings, *nodes: str, keep: int = 1, group: str = "sub") -> Settings:
    """With a subscription of these nodes behind its transports."""
    entries = {f"{group}/{node}": Entry(f"{group}/{node}", TROJAN, group=group) for node in nodes}
    subscription = Subscription(group, "https://panel.example/", keep=keep)
    return replace(
        settings,
        transports=MappingProxyType({**settings.transports, **entries}),
        subscriptions=MappingProxyType({**settings.subscriptions, group: subscription}),
    )


def told(settings: Settings, *story: tuple[float, Event], state: State | None = None) -> State:
    state = state or State()
    for now, event in story:
        state = step(settings, state, event, now)
    return state


def good(name: str, latency: float = 50.0, sign: Sign | None = None, rate: float | None = None) -> Probed:
    return Probed(name, latency, sign=sign, rate=rate)


def bad(name: str, finding: Finding = "silent") -> Probed:
    return Probed(name, None, "timed out", finding)


START = (0.0, Configured())
A, B, C = household("a"), household("a", "b"), household("a", "b", "c")


def chained(*names: str, **via: str) -> Settings:
    """As `household`, and each of `via` travels inside the one that it names."""
    plain = household(*names)
    return replace(plain, transports={n: replace(e, via=via.get(n, "")) for n, e in plain.transports.items()})


UP = (START, (1.0, good("a")), (1.1, good("b")))


def doubt(state: State, name: str = "a") -> int:
    health = state.health[name]
    assert isinstance(health, Up)
    return health.points
