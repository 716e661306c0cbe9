"""The daemon's Status, read leniently into frozen data: what is missing or strange becomes a dull default.

The page must come up whatever the daemon says; a word it does not know never becomes a class name or a key.
"""

from dataclasses import dataclass

from webui.lenient import count, dicts, one_of, words
from webui.subscription import Subscription, subscription

PHASES = ("open", "switching", "blocked", "offline", "closed")
STATES = ("up", "suspect", "down", "starting", "disabled")
SEVERITIES = ("info", "warning", "error")
STRAIGHT = "desync"  # the one kind with nobody in between


@dataclass(frozen=True, slots=True)
class Transport:
    name: str
    kind: str
    state: str
    latency_ms: int | None
    warm: bool
    last_error: str
    server: str = ""
    active: bool = False
    subscription: str = ""
    builtin: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    code: str
    severity: str
    title: str
    cure: str


@dataclass(frozen=True, slots=True)
class Status:
    """`phase` is one of PHASES, or "unreachable" when the daemon does not answer."""

    phase: str
    manual: bool = False
    active: str | None = None
    since: str = ""
    transports: tuple[Transport, ...] = ()
    problems: tuple[Problem, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()

    @property
    def straight(self) -> bool:
        """What carries the household has nobody in between."""
        return any(each.active and each.kind == STRAIGHT for each in self.transports)


UNREACHABLE = Status("unreachable")


def parse(raw: dict[str, object]) -> Status:
    active = raw.get("active")
    name = active if isinstance(active, str) else None
    return Status(
        phase=one_of(raw.get("phase"), PHASES, "closed"),
        manual=raw.get("mode") == "manual",
        active=name,
        since=words(raw.get("since")),
        transports=tuple(_transport(item, name) for item in dicts(raw.get("transports"))),
        problems=tuple(_problem(item) for item in dicts(raw.get("problems"))),
        subscriptions=tuple(subscription(item) for item in dicts(raw.get("subscriptions"))),
    )


def journal(raw: list[object]) -> list[tuple[str, str, str]]:
    """(at, kind, text), newest first."""
    entries = [(words(item.get("at")), words(item.get("kind")), words(item.get("text"))) for item in dicts(raw)]
    return sorted(entries, key=lambda entry: entry[0], reverse=True)


def _transport(raw: dict[str, object], active: str | None) -> Transport:
    name = words(raw.get("name"))
    return Transport(
        name=name,
        kind=words(raw.get("kind")),
        state=one_of(raw.get("state"), STATES, "down"),
        latency_ms=count(raw.get("latency_ms"), 1_000_000),
        warm=raw.get("warm") is True,
        last_error=words(raw.get("last_error")),
        active=name == active,
        subscription=words(raw.get("subscription")),
        builtin=raw.get("builtin") is True,
    )


def _problem(raw: dict[str, object]) -> Problem:
    severity = one_of(raw.get("severity"), SEVERITIES, "warning")
    return Problem(words(raw.get("code")), severity, words(raw.get("title")), words(raw.get("cure")))
