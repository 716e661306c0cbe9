"""desync://STRATEGY links: people exchange what works where they are. Ours; no other program knows them.

A list that somebody else wrote may not bring one among others (bulk.py): it would send the household straight out.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from routerd.desync.grammar import StrategyError, parse
from routerd.links.wall import LinkError
from routerd.transports.desync import AUTO, Desync

LONGEST = 512  # characters


def desync(text: str) -> tuple[str, Desync]:
    body, _, name = text.partition("://")[2].partition("#")
    try:
        return unquote(name), written(unquote(body.rstrip("/")))
    except StrategyError:
        raise LinkError(f"The strategy cannot be read; docs/desync.md has the words. Or write {AUTO}.") from None


def written(strategy: str) -> Desync:
    """As in the settings. Raises StrategyError."""
    if len(strategy) > LONGEST:
        raise StrategyError(f"longer than {LONGEST} characters")
    if strategy != AUTO:
        parse(strategy)
    return Desync(strategy)


def desync_link(name: str, transport: Desync) -> str:
    return f"desync://{quote(transport.strategy, safe='(),=+-')}" + (f"#{quote(name, safe='')}" if name else "")
