"""What a strategy is made of: frozen values, a line of grammar.py each. play.py does what they say.

A decoy must never be taken by the server, so each names what makes it drop it (Fooling). What would change the length
of a stream is not here: no one who sees only first packets can do that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Word = Literal["host", "midsld", "endhost", "sniext"]
Drops = Literal["ttl", "badsum", "badseq", "md5", "oldts"]
Load = Literal["hello", "http", "zeros", "noise"]


@dataclass(frozen=True, slots=True)
class Place:
    """`word`: where the name begins, the middle of its registered part, its end, its extension's begin; then `offset`.

    Without a word: an offset from the beginning, or, negative, from the end.
    """

    word: Word | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Fooling:
    """`ttl`: hops that a decoy may go; 0: as far as just before the server. Of `ttl` alone."""

    by: Drops
    ttl: int = 0


@dataclass(frozen=True, slots=True)
class Split:
    """The first flight in pieces, cut at these places."""

    at: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Disorder:
    """The pieces go out last first."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """So many bytes of a decoy stand before the first piece, in its packet, where the server has all it needs."""

    size: int


@dataclass(frozen=True, slots=True)
class Fake:
    """A decoy in the place of the whole flight, `times` times, before the flight."""

    load: Load
    fooling: Fooling
    times: int = 1


@dataclass(frozen=True, slots=True)
class Around:
    """A decoy before each piece, and one behind it."""

    fooling: Fooling


@dataclass(frozen=True, slots=True)
class HostCase:
    """`Host:` becomes `hoSt:`. For HTTP alone."""


@dataclass(frozen=True, slots=True)
class HostSpace:
    """The space behind `Host:` goes behind the name. For HTTP alone."""


@dataclass(frozen=True, slots=True)
class Decoys:
    """QUIC Initials for an innocent name before the client's own, `times` of them."""

    times: int


Step = Split | Disorder | Overlap | Fake | Around | HostCase | HostSpace | Decoys
Strategy = tuple[Step, ...]
