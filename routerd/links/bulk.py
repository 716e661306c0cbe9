"""Whatever was pasted or fetched, read into transports: every line of it ends as one, or is rejected with a reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from routerd.links import Named, parse, pieces, wall
from routerd.links.wall import LinkError


@dataclass(frozen=True, slots=True)
class Rejected:
    """`input` as it was given: it may hold a secret, and is shown to the owner alone."""

    input: str = field(repr=False)
    reason: str


@dataclass(frozen=True, slots=True)
class Import:
    transports: tuple[Named, ...]
    rejected: tuple[Rejected, ...]


def read_all(text: str) -> Import:
    """A list of share links, one in each line, in plain or in base64. Never raises."""
    transports, rejected = [], []
    for line in pieces(filter(None, (line.strip() for line in plain(text).splitlines()))):
        try:
            transports.append(parse(line))
        except LinkError as e:
            rejected.append(Rejected(line, e.reason))
    return Import(tuple(transports), tuple(rejected))


def plain(text: str) -> str:
    """What a panel gives in base64, as the list that it is."""
    try:
        return wall.base64("".join(text.split()), "list").decode()
    except (LinkError, UnicodeDecodeError):
        return text
