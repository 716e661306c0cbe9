"""State in words that a person understands. A new problem is one row here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from routerd import lease
from routerd.ladder import carries
from routerd.model import (
    Down,
    Health,
    Problem,
    Starting,
    State,
    Status,
    SubscriptionStatus,
    TransportStatus,
    Up,
    beneath,
)
from routerd.problems import VERDICTS, Declared, Severity, visible
from routerd.settings import Entry, Settings

Phase = Literal["open", "switching", "blocked", "offline", "closed"]

_NOTHING: tuple[str, ...] = ()
_Row = tuple[Severity, str, str] | tuple[Severity, str, str, tuple[str, ...], float]
# What heals by itself within seconds is not shown at all: the last figure of a row is how long it has to last.
_OURS: Mapping[str, _Row] = {
    "settings": ("error", "The settings cannot be read; nothing leaves the box", "Mend the file, or restore a backup"),
    "settings_kept": ("warning", "The new settings have an error; those before stay in force", "Mend the file"),
    "no_transport": ("error", "No way out is set up", "Add a transport: paste a share link or a WireGuard file"),
    "own_ladder": ("info", "No way out is set up; it uses what it knows itself", "Add a transport: it is faster"),
    "all_down": ("error", "Every way out is blocked or out of order", "It keeps trying; add another transport"),
    "chosen_down": ("error", "The transport you chose does not work now", "Choose another, or automatic"),
    "transport_down": ("warning", "A transport does not work now", "It is tried again by itself", _NOTHING, 10.0),
    "udp_lost": (
        "warning",
        "A transport does not carry UDP now; it is refused, so that apps use TCP",
        "Nothing to do",
        _NOTHING,
        10.0,
    ),
    "readable": (
        "warning",
        "What goes through a transport can be read on the way, and be blocked by its name",
        "Use one that encrypts: HTTPS in place of HTTP, SSH in place of SOCKS",
    ),
    "straight": (
        "warning",
        "What you visit is reached straight from your own address, and your provider sees where to",
        "Add a transport, if that may harm you; see docs/desync.md",
    ),
    "ruleset": ("error", "The kernel did not take the ruleset; the one before stays in force", "See docs/problems.md"),
    "tampered": ("warning", "Another program changed the firewall; it was put back", "See docs/problems.md"),
    "routing": ("error", "The kernel did not take rules or routes", "See docs/problems.md"),
    "links": ("error", "A tunnel's interface could not be made", "The kernel needs WireGuard or /dev/net/tun"),
    "helper": ("warning", "A program that some bridges need is not on this box", "Install it, or remove these bridges"),
    "lan": ("error", "The LAN port is missing", "Plug it in, or correct lan.interface"),
    "overlap": ("error", "Your provider's network has the same addresses as your home", "Change lan.address"),
    "clock_wrong": ("warning", "The clock is wrong", "It is set as soon as the date is known; see docs/problems.md"),
    "dnsmasq": ("error", "Names and leases are not served", "Another program may hold port 53; see docs/problems.md"),
    "resolver": ("error", "The resolver does not run", "See docs/problems.md"),
    "lookup": ("warning", "A server's name could not be looked up", "Use a link with its address", _NOTHING, 5.0),
    "no_resolver": (
        "warning",
        "The lease of your line names no resolver, which a DNS tunnel would ask",
        "Name one in the link: iodine://...@ADDRESS?domain=...",
        ("wan_down",),
        10.0,
    ),
    "conntrack": ("warning", "Flows of a dead transport could not be cut", "They end by themselves within minutes"),
    "guard": ("error", "The kernel did not take the guard table; the other layers hold", "See docs/problems.md"),
    "subscription_waits": (
        "warning",
        "A subscription waits, for nothing is up that it could be fetched through",
        "Add a transport, or give the list itself; see docs/problems.md",
        _NOTHING,
        10.0,
    ),
    "subscription_failed": (
        "warning",
        "A subscription could not be updated; the list before stays in use",
        "It is tried again by itself; ask its provider if it lasts",
    ),
    "subscription_changed": ("info", "A subscription has other nodes, which wait for your word", "Look, and confirm"),
    "subscription_expired": ("warning", "A subscription has expired or is used up", "Renew it with its provider"),
    "subscription_down": (
        "warning",
        "No node of a subscription works now",
        "They are tried again by themselves; update it",
        _NOTHING,
        10.0,
    ),
    "handover": ("error", "No packet can be handed to the worker; nothing goes straight out", "See docs/problems.md"),
    "guard_unlocked": ("info", "The guard table cannot be locked against other programs", "Linux 6.9 or newer can"),
}
PROBLEMS: Mapping[str, Declared] = {**{code: Declared(*row) for code, row in _OURS.items()}, **VERDICTS}


@dataclass(frozen=True, slots=True)
class Beside:
    """What State does not hold. `started`: the wall-clock time of `state.since`. `traffic`: bytes up and down of each
    transport. `lasting`: for how many seconds each problem has been there; None: for ever. `told`: of each
    subscription, what its provider says.
    """

    started: datetime
    traffic: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    lasting: Mapping[str, float] | None = None
    told: Sequence[SubscriptionStatus] = ()


def status(settings: Settings | None, state: State, beside: Beside, version: str) -> Status:
    """Of a subscription's nodes those alone are shown that run."""
    phase = phase_of(settings, state)
    transports = tuple(_transports(settings, state, beside.traffic)) if settings else ()
    subscriptions = tuple(_subscription(settings, state, one) for one in beside.told)
    problems = tuple(_problems(settings, state, phase, subscriptions))
    lasting = beside.lasting
    since = {p.code: -(float("inf") if lasting is None else lasting.get(p.code, 0.0)) for p in problems}
    shown = visible(since, PROBLEMS, 0.0)
    return Status(
        version=version,
        phase=phase,
        mode="manual" if state.wish is not None else "auto",
        active=state.active,
        since=beside.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        transports=transports,
        problems=tuple(p for p in problems if p.code in shown),
        subscriptions=subscriptions,
    )


def present(settings: Settings | None, state: State, told: Sequence[SubscriptionStatus] = ()) -> frozenset[str]:
    """The codes of what is wrong, shown or not."""
    subscriptions = tuple(_subscription(settings, state, one) for one in told)
    phase = phase_of(settings, state)
    return frozenset(problem.code for problem in _problems(settings, state, phase, subscriptions))


def phase_of(settings: Settings | None, state: State) -> Phase:
    if settings is None:
        return "closed"
    if not state.wan_up:
        return "offline"
    if state.active is not None:
        return "open"
    untried = any(isinstance(h, Starting) and not h.failures for h in state.health.values())
    return "switching" if untried else "blocked"


def _transports(settings: Settings, state: State, traffic: Mapping[str, tuple[int, int]]) -> Iterator[TransportStatus]:
    for name, entry in settings.transports.items():
        if not entry.group or _runs(state, name):
            shown = _transport(state, entry, traffic.get(name, (0, 0)), _kept_waiting(settings, state, entry))
            yield replace(shown, builtin=settings.own_ladder and not entry.group)


def _kept_waiting(settings: Settings, state: State, entry: Entry) -> str:
    """What keeps a transport from running whatever its health is; empty where nothing does."""
    if entry.name in lease.without_one(settings, state):
        return "the line's lease names no resolver"
    outer = beneath(settings.via, entry.name)
    off = [n for n in outer if not settings.transports[n].enabled or isinstance(state.health.get(n), Down)]
    return f"it travels inside {off[0]}, which does not run" if off and entry.enabled else ""


def _transport(state: State, entry: Entry, traffic: tuple[int, int], waiting: str) -> TransportStatus:
    name, health, able = entry.name, state.health.get(entry.name), entry.transport.carries
    return TransportStatus(
        name=name,
        kind=entry.transport.kind,
        state="down" if waiting else _state(entry.enabled, health),
        latency_ms=round(health.latency_ms) if isinstance(health, Up) else None,
        warm=isinstance(health, Up) and name != state.active,
        last_error=waiting or state.errors.get(name),
        bytes_up=traffic[0],
        bytes_down=traffic[1],
        udp=able.udp and carries(health, "udp"),
        ipv6=able.ipv6 and entry.ipv6 and carries(health, "ipv6"),
        subscription=entry.group or None,
    )


def _runs(state: State, name: str) -> bool:
    return name == state.wish or isinstance(state.health.get(name), Starting | Up)


def _subscription(settings: Settings | None, state: State, told: SubscriptionStatus) -> SubscriptionStatus:
    nodes = [e.name for e in settings.transports.values() if e.group == told.name] if settings else []
    up = sum(isinstance(state.health.get(name), Up) for name in nodes)
    failed = sum(
        isinstance(h := state.health.get(n), Down) or (isinstance(h, Starting) and h.failures > 0) for n in nodes
    )
    return replace(told, up=up, failed=failed)


def _state(enabled: bool, health: Health | None) -> Literal["up", "suspect", "down", "starting", "disabled"]:
    match health:
        case Up(points=0):
            return "up"
        case Up():
            return "suspect"
        case Starting(failures=0):
            return "starting"
        case Starting() | Down():
            return "down"
        case None:
            return "starting" if enabled else "disabled"


def _problems(
    settings: Settings | None, state: State, phase: Phase, subscriptions: Sequence[SubscriptionStatus]
) -> Iterator[Problem]:
    """The consequence is hidden where the cause is shown."""
    for code, detail in state.faults.items():
        yield _problem(code, detail)
    if settings is None:
        return
    if settings.own_ladder:
        yield _problem("own_ladder", _trying(state))
    yield from _readable(settings, state)
    if waiting := lease.without_one(settings, state):
        yield _problem("no_resolver", ", ".join(waiting))
    if phase == "offline":
        yield _problem("wan_down")
    elif not settings.enabled and not settings.subscriptions:
        yield _problem("no_transport")
    elif state.active is None and phase == "blocked" and settings.enabled:
        yield _problem("chosen_down" if state.wish is not None else "all_down")
    else:
        yield from _one_by_one(settings, state)
    for told in subscriptions:
        yield from _of_subscription(told, phase)


def _readable(settings: Settings, state: State) -> Iterator[Problem]:
    """No node of a subscription is: subscriptions.py leaves such out."""
    via = settings.via
    for name in (n for n in state.health if n in settings.transports and not settings.transports[n].group):
        around = (name, *beneath(via, name))
        able = [settings.transports[each].transport.carries for each in around]
        if any(each.straight for each in able):
            if name == state.active:
                yield _problem("straight", name)
        elif not any(each.hidden for each in able):
            yield _problem("readable", name)


def _one_by_one(settings: Settings, state: State) -> Iterator[Problem]:
    """A node of a subscription is one of many: its failing is no problem, unless it carries the household."""
    for name, health in state.health.items():
        alone = name in settings.transports and not settings.transports[name].group
        if isinstance(health, Down):
            if alone:
                yield _problem("transport_down", f"{name}: {health.error}")
        elif not carries(health, "udp") and (alone or name == state.active):
            yield _problem("udp_lost", name)


def _of_subscription(told: SubscriptionStatus, phase: Phase) -> Iterator[Problem]:
    if told.expired:
        yield _problem("subscription_expired", told.name)
    if told.pending is not None:
        yield _problem("subscription_changed", told.name)
    if phase == "offline":
        return
    if told.last_error is not None:
        yield _problem("subscription_failed", f"{told.name}: {told.last_error}")
    if told.waits:
        yield _problem("subscription_waits", told.name)
    if told.nodes and told.failed == told.nodes and phase == "open":
        yield _problem("subscription_down", told.name)


def _trying(state: State) -> str:
    """What is used, or how far what is tried has come."""
    starting = [name for name, health in state.health.items() if isinstance(health, Starting)]
    said = (f"{name}: {state.errors[name]}" if name in state.errors else name for name in starting)
    return state.active or "trying " + ", ".join(said)


def _problem(code: str, detail: str = "") -> Problem:
    declared = PROBLEMS[code]
    title = f"{declared.title} ({detail})" if detail else declared.title
    return Problem(code, declared.severity, title, declared.cure)
