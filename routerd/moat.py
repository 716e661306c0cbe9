"""Fresh bridges from Tor's Moat: what it is asked, and what of its answer is taken. Pure.

The interface is rdsys' own (its doc/moat.md): `settings` for a country, `defaults` for any. It sees an exit's address,
not the household's, so the country has to be told. An answer is a stranger's word: bridge lines alone come out of it,
of kinds that are carried, each read as strictly as the owner's, and none that leads into a home.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from types import MappingProxyType

from routerd.links import LinkError
from routerd.links.bridges import MOST_BRIDGES, bridge
from routerd.model import Down, Starting, State, Up
from routerd.settings import Settings
from routerd.subscriptions import is_public
from routerd.transports.tor import HELPERS, HIDDEN, Bridge, Tor

LONGEST = 1 << 17  # characters of an answer
PLAIN, MEEK = "vanilla", ("meek", "meek-azure")  # what rdsys calls, or has called, plain bridges and meek_lite's
# Debian has no helper for webtunnel yet: an answer that says nothing else would leave the box without a bridge.
KNOWN = (*(kind for kind in HELPERS if kind != "webtunnel"), PLAIN, *MEEK)


class Refusal(ValueError):
    """Why an answer is not taken, in one sentence; it quotes nothing."""


@dataclass(frozen=True, slots=True)
class Question:
    """To be sent as JSON to the place `path` below Moat's address."""

    path: str
    body: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The last good answer: bridge lines; `source`: Moat's address and the country that it was asked about.

    `at`: Unix time.
    """

    lines: tuple[str, ...] = field(default=(), repr=False)
    source: str = ""
    at: float = 0.0


def source(settings: Settings) -> str:
    return f"{settings.moat} {settings.country}".strip()


def questions(country: str) -> tuple[Question, ...]:
    """In this order, until one of them is answered with bridges."""
    kinds = {"transports": list(KNOWN)}
    defaults = Question("/defaults", json.dumps(kinds))
    return (Question("/settings", json.dumps({"country": country, **kinds})), defaults) if country else (defaults,)


def read(text: str, shipped: Sequence[Bridge] = ()) -> tuple[Bridge, ...]:
    """The bridges of an answer, the most useful first. Raises Refusal where there is none that can be used.

    `shipped`: those that everybody has, for where it names a kind and has no line of it that can be used.
    """
    found = [one for kind, lines, public in _settings(_parsed(text)) for one in _usable(kind, lines, public, shipped)]
    if not found:
        raise Refusal("There is no bridge in the answer that can be used.")
    return tuple(dict.fromkeys(found))[:MOST_BRIDGES]


def _parsed(text: str) -> dict[str, object]:
    if len(text) > LONGEST:
        raise Refusal("The answer is too long.")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise Refusal("The answer is not JSON.") from None
    if not isinstance(answer, dict):
        raise Refusal("The answer is not what Moat sends.")
    if "errors" in answer:
        raise Refusal(f"Moat answers with an error{_code(answer['errors'])}.")
    return answer


def _code(errors: object) -> str:
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return f" ({code})" if isinstance(code, int) and 0 <= code < 1000 else ""


def _settings(answer: dict[str, object]) -> Iterator[tuple[str, list[str], bool]]:
    """Of each setting: the kind, its lines, and whether everybody has them. What is formed otherwise is passed over."""
    listed = answer.get("settings")
    for each in listed if isinstance(listed, list) else []:
        made = each.get("bridges") if isinstance(each, dict) else None
        if isinstance(made, dict) and isinstance(kind := made.get("type"), str):
            lines = made.get("bridge_strings")
            texts = [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
            yield kind, texts, made.get("source") == "builtin"


def _usable(kind: str, lines: list[str], public: bool, shipped: Sequence[Bridge]) -> list[Bridge]:
    by = "" if kind == PLAIN else "meek_lite" if kind in MEEK else kind
    found = [one for line in lines if (one := _good(line))]
    return found or ([one for one in shipped if one.by == by] if public else [])


def _good(line: str) -> Bridge | None:
    try:
        found = bridge(line)
    except LinkError:
        return None
    if (found.by or PLAIN) not in KNOWN:
        return None
    # The addresses of the hidden ones are placeholders that nobody connects to.
    return found if found.by in HIDDEN or is_public(ip_address(found.address)) else None


def lines_of(found: Sequence[Bridge]) -> tuple[str, ...]:
    return tuple(one.line for one in found)


def recalled(lines: Sequence[str]) -> tuple[Bridge, ...]:
    """From a file of ours, which may be damaged: what is no bridge is left out."""
    return tuple(one for line in lines[:MOST_BRIDGES] if (one := _good(line)))


def merged(settings: Settings, found: tuple[Bridge, ...]) -> Settings:
    """The settings with these bridges where the owner wants Moat's; as they are, where there is none yet."""
    if not found:
        return settings
    entries = {n: replace(e, transport=Tor(found)) if e.moat else e for n, e in settings.transports.items()}
    return replace(settings, transports=MappingProxyType(entries))


def shipped(settings: Settings) -> tuple[Bridge, ...]:
    """Those that everybody has, of the owner's settings; none where Moat is not wanted."""
    wanted = (e.transport for e in settings.enabled if e.moat)
    return next((tor.bridges for tor in wanted if isinstance(tor, Tor)), ())


def works(settings: Settings, state: State) -> bool:
    """Whether a Tor over such bridges is up: then nothing disturbs it."""
    return any(e.moat and isinstance(state.health.get(e.name), Up) for e in settings.enabled)


def fails(settings: Settings, state: State) -> bool:
    """Whether one has shown that it does not work, and none is up."""
    tried = [state.health.get(e.name) for e in settings.enabled if e.moat]
    failed = any(isinstance(h, Down) or (isinstance(h, Starting) and h.failures > 0) for h in tried)
    return failed and not works(settings, state)
