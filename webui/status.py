"""The daemon's Status, read leniently into frozen data: what is missing or strange becomes a dull default.

The page must come up whatever the daemon says; a word it does not know never becomes a class name or a key.
"""

from dataclasses import dataclass

PHASES = ("open", "switching", "blocked", "offline", "closed")
STATES = ("up", "suspect", "down", "starting", "disabled")
SEVERITIES = ("info", "warning", "error")


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


UNREACHABLE = Status("unreachable")


def parse(raw: dict[str, object]) -> Status:
    active = raw.get("active")
    name = active if isinstance(active, str) else None
    return Status(
        phase=_one_of(raw.get("phase"), PHASES, "closed"),
        manual=raw.get("mode") == "manual",
        active=name,
        since=_text(raw.get("since")),
        transports=tuple(_transport(item, name) for item in _dicts(raw.get("transports"))),
        problems=tuple(_problem(item) for item in _dicts(raw.get("problems"))),
    )


def journal(raw: list[object]) -> list[tuple[str, str, str]]:
    """(at, kind, text), newest first."""
    entries = [(_text(item.get("at")), _text(item.get("kind")), _text(item.get("text"))) for item in _dicts(raw)]
    return sorted(entries, key=lambda entry: entry[0], reverse=True)


def _transport(raw: dict[str, object], active: str | None) -> Transport:
    latency = raw.get("latency_ms")
    name = _text(raw.get("name"))
    return Transport(
        name=name,
        kind=_text(raw.get("kind")),
        state=_one_of(raw.get("state"), STATES, "down"),
        latency_ms=round(latency) if isinstance(latency, (int, float)) and 0 <= latency < 1e6 else None,
        warm=raw.get("warm") is True,
        last_error=_text(raw.get("last_error")),
        active=name == active,
    )


def _problem(raw: dict[str, object]) -> Problem:
    severity = _one_of(raw.get("severity"), SEVERITIES, "warning")
    return Problem(_text(raw.get("code")), severity, _text(raw.get("title")), _text(raw.get("cure")))


def _dicts(raw: object) -> list[dict[str, object]]:
    return [item for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []


def _text(raw: object) -> str:
    return raw if isinstance(raw, str) else ""


def _one_of(raw: object, allowed: tuple[str, ...], otherwise: str) -> str:
    return raw if isinstance(raw, str) and raw in allowed else otherwise
