"""Whatever was pasted or fetched, read into transports: every line of it ends as one, or is rejected with a reason.

A document's entries become share links first, so that all that is read passes the same wall.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cache

from routerd.links import Named, forms, notes, parse, wall
from routerd.links.document import Piece
from routerd.links.wall import LinkError
from routerd.transports import Transport

STRAIGHT = "It sends the household straight out, without a server: give it alone, if you mean it."
DUPLICATE = "It is the same as one before it, whatever its name."


@dataclass(frozen=True, slots=True)
class Rejected:
    """`input` as it was given: it may hold a secret, and is shown to the owner alone.

    `subscription`: the address that has to be fetched, where the input is one.
    """

    input: str = field(repr=False)
    reason: str
    subscription: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Import:
    transports: tuple[Named, ...]
    rejected: tuple[Rejected, ...]

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Addresses that have to be fetched; each is in `rejected` too, since it is no transport."""
        return tuple(dict.fromkeys(each.subscription for each in self.rejected if each.subscription))


def read_all(text: str) -> Import:
    """Never raises. forms.py says what is understood."""
    transports: list[Named] = []
    rejected: list[Rejected] = []
    for found in outcomes(text):
        if isinstance(found, Named):
            transports.append(found)
        else:
            rejected.append(found)
    if len(transports) + len(rejected) > 1:
        straight = [named for named in transports if named.transport.carries.straight]
        transports = [named for named in transports if not named.transport.carries.straight]
        rejected += [Rejected(named.source, STRAIGHT) for named in straight]
    return Import(tuple(transports), tuple(rejected))


def outcomes(text: str) -> Iterator[Named | Rejected]:
    """The same, one by one: a hundred thousand need not be in memory at once, nor are they to know duplicates by."""
    seen: set[int] = set()
    for piece in forms.pieces(text):
        found = judged(piece)
        if isinstance(found, Named):
            before = len(seen)
            seen.add(hash(found.transport))
            yield found if len(seen) > before else Rejected(piece.shown, DUPLICATE)
        else:
            yield found


def described(named: Named) -> dict[str, object]:
    """A transport as the commands and the API show it, with its link, which is the owner's."""
    transport = named.transport
    values = ((key, getattr(transport, key)) for key in open_fields(type(transport)))
    plain = {key: value for key, value in values if isinstance(value, str | int)}
    place = {"server": transport.server, "port": transport.port}
    return {"name": named.name, "kind": transport.kind, "uri": named.source, **place, **plain}


@cache
def open_fields(kind: type[Transport]) -> tuple[str, ...]:
    """Those that hold no secret."""
    return tuple(at.name for at in fields(kind) if at.repr)


def judged(piece: Piece) -> Named | Rejected:
    if piece.reason:
        return Rejected(piece.shown, piece.reason, piece.subscription)
    try:
        named = parse(piece.text)
    except LinkError as e:
        return Rejected(piece.shown, e.reason)
    if name := wall.name(piece.name):
        named = replace(named, name=name)
    return Rejected(piece.shown, notes.REASON) if notes.is_note(named.name) else named
