"""The short text form of a strategy: steps with a space between them, each a word and what it needs in brackets.

docs/desync.md says what each does; `text` is the inverse of `parse`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import cast, get_args

from routerd.desync.steps import (
    Around,
    Decoys,
    Disorder,
    Drops,
    Fake,
    Fooling,
    HostCase,
    HostSpace,
    Load,
    Overlap,
    Place,
    Split,
    Step,
    Strategy,
    Word,
)

MOST_STEPS, MOST_PLACES, MOST_TIMES, FARTHEST = 6, 32, 20, 2000
WORDS, DROPS, LOADS = get_args(Word), get_args(Drops), get_args(Load)
WORD = re.compile(r"[^\s(]+(?:\([^)]*\)?)?")
STEP = re.compile(r"([a-z]+)(?:\(([^()]*)\))?")
PLACE = re.compile(rf"({'|'.join(WORDS)})([+-][0-9]{{1,4}})?|(-?[0-9]{{1,4}})")
LENGTH = "it changes the length of what the client says, which nobody can do who sees first packets alone"
REFUSED = {
    "record": f"cuts a TLS record in two; {LENGTH}",
    "oob": f"puts in a byte that is out of band; {LENGTH}",
    "syndata": "puts data into the SYN, which most servers throw away, and it costs a second where they do",
    "window": "makes the server send small pieces; this box sees too few of its packets to let go of it again",
    "fragment": "cuts IP packets, which most lines put together or drop on the way",
}


class StrategyError(ValueError):
    """What is wrong, where, and what is allowed: one line."""


def parse(text: str) -> Strategy:
    """Raises StrategyError."""
    if not text.isprintable():  # it is kept as it is written, and goes to the worker so
        raise StrategyError("a character in it cannot be seen; between steps there is a space")
    words = WORD.findall(text)
    if not words:
        raise StrategyError(f"there is no step in it; allowed: {', '.join(READERS)}")
    if len(words) > MOST_STEPS:
        raise StrategyError(f"{len(words)} steps; at most {MOST_STEPS}")
    if WORD.sub("", text).strip():
        raise StrategyError("a bracket stands where no step is before it")
    steps = tuple(_step(word) for word in words)
    for one in steps:
        if sum(type(other) is type(one) for other in steps) > 1 and not isinstance(one, Fake):
            raise StrategyError(f"{_name(one)}: only once in a strategy")
    return steps


def text(strategy: Strategy) -> str:
    return " ".join(_name(step) + _arguments(step) for step in strategy)


def _step(word: str) -> Step:
    match = STEP.fullmatch(word)
    name = match[1] if match else word[:20]
    if match and name in REFUSED:
        raise StrategyError(f"{name}: {REFUSED[name]}")
    if not match or name not in READERS:
        raise StrategyError(f"{_shown(name)}: no such step; allowed: {', '.join(READERS)}")
    given = [part.strip() for part in match[2].split(",")] if match[2] else []
    return READERS[name](name, given)


def _split(name: str, given: Sequence[str]) -> Split:
    if not 1 <= len(given) <= MOST_PLACES:
        raise StrategyError(f"{name}: needs 1 to {MOST_PLACES} places, like {name}(1,midsld)")
    return Split(tuple(_place(name, one) for one in given))


def _place(name: str, given: str) -> Place:
    match = PLACE.fullmatch(given)
    offset = int((match[2] or match[3] or 0) if match else 0)
    if not match or abs(offset) > FARTHEST or (not match[1] and not offset):
        raise StrategyError(f"{name}: {_shown(given)} is no place; allowed: {', '.join(WORDS)} (+N, -N), a number")
    return Place(cast(Word | None, match[1]), offset)


def _overlap(name: str, given: Sequence[str]) -> Overlap:
    return Overlap(_number(name, given, 700))


def _decoys(name: str, given: Sequence[str]) -> Decoys:
    return Decoys(_number(name, given, MOST_TIMES))


def _number(name: str, given: Sequence[str], most: int) -> int:
    if len(given) != 1 or not re.fullmatch(r"[0-9]{1,4}", given[0]) or not 1 <= int(given[0]) <= most:
        raise StrategyError(f"{name}: needs a number from 1 to {most}, like {name}(2)")
    return int(given[0])


def _fake(name: str, given: Sequence[str]) -> Fake:
    """Its load may be left out, and how often."""
    left = list(given)
    load = left.pop(0) if left and left[0] in LOADS else "hello"
    times = 1
    if left and (match := re.fullmatch(r"x([0-9]{1,2})", left[-1])):
        times = int(left.pop()[1:])
        if not 1 <= times <= MOST_TIMES:
            raise StrategyError(f"{name}: x1 to x{MOST_TIMES}, not x{match[1]}")
    return Fake(cast(Load, load), _fooling(name, left), times)


def _around(name: str, given: Sequence[str]) -> Around:
    return Around(_fooling(name, given))


def _fooling(name: str, given: Sequence[str]) -> Fooling:
    match = re.fullmatch(r"([a-z0-9]+)(?:=([0-9]{1,3}))?", given[0]) if len(given) == 1 else None
    if not match or match[1] not in DROPS or (match[2] and (match[1] != "ttl" or not 1 <= int(match[2]) <= 255)):
        allowed = ", ".join(f"{one} (or ttl=N)" if one == "ttl" else one for one in DROPS)
        raise StrategyError(f"{name}: needs what makes the server drop the decoy, one of: {allowed}")
    return Fooling(cast(Drops, match[1]), int(match[2] or 0))


def _bare(made: Step) -> Callable[[str, Sequence[str]], Step]:
    def read(name: str, given: Sequence[str]) -> Step:
        if given:
            raise StrategyError(f"{name}: takes nothing in brackets")
        return made

    return read


READERS: dict[str, Callable[[str, Sequence[str]], Step]] = {
    "split": _split,
    "disorder": _bare(Disorder()),
    "overlap": _overlap,
    "fake": _fake,
    "around": _around,
    "hostcase": _bare(HostCase()),
    "hostspace": _bare(HostSpace()),
    "decoys": _decoys,
}


def _name(step: Step) -> str:
    return type(step).__name__.lower()


def _arguments(step: Step) -> str:
    match step:
        case Split(at):
            return f"({','.join(map(_place_text, at))})"
        case Overlap(number) | Decoys(number):
            return f"({number})"
        case Fake(load, fooling, times):
            return f"({load},{_fooling_text(fooling)}{f',x{times}' if times > 1 else ''})"
        case Around(fooling):
            return f"({_fooling_text(fooling)})"
        case _:
            return ""


def _place_text(place: Place) -> str:
    return f"{place.word}{place.offset:+d}" if place.word and place.offset else str(place.word or place.offset)


def _fooling_text(fooling: Fooling) -> str:
    return f"{fooling.by}={fooling.ttl}" if fooling.ttl else fooling.by


def _shown(given: str) -> str:
    return repr("".join(c for c in given[:30] if c.isprintable()))
