"""The [[transport]] tables of clearway.toml, read; and the ways out that everybody has, where there is none of them.

A part of the wall: see settings.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from routerd.desync.grammar import StrategyError
from routerd.links import NAMELESS, LinkError, bridges, configuration, parse
from routerd.links.desync import written
from routerd.model import LAST_SLOT, OF_THE_LINE, PATIENCE, beneath
from routerd.table import SettingsError, Table, shown
from routerd.transports import SLOW, Transport, chain
from routerd.transports.desync import AUTO, Desync
from routerd.transports.tor import Bridge, Tor

BRIDGES = "bridges.txt"  # those that everybody has; read when there is no transport, or no answer of Moat's yet
MOAT = "moat"  # in the place of bridge lines

Read = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One [[transport]] of the file; or a node, with the name of its subscription as the `group`.

    `via`: the name of the one that it travels inside; empty for none. `moat`: a Tor whose bridges are asked of Moat;
    until there is an answer it has those that everybody has.
    """

    name: str
    transport: Transport
    enabled: bool = True
    ipv6: bool = True
    via: str = ""
    group: str = ""
    moat: bool = False

    @property
    def patience(self) -> float:
        return SLOW.get(self.transport.kind, PATIENCE)


def listed_transports(tables: list[Table], read: Read) -> Mapping[str, Entry]:
    if len(tables) > LAST_SLOT:
        raise SettingsError(f"transport: {len(tables)} of them; at most {LAST_SLOT} can be carried")
    found: dict[str, Entry] = {}
    for table in tables:
        entry = _entry(table, read)
        if entry.name in found:
            raise table.fail("name", f"{shown(entry.name)} is taken by another transport; names must differ")
        found[entry.name] = entry
    for table, entry in zip(tables, found.values(), strict=True):
        if entry.via and (why := _why_not_inside(entry, found)):
            raise table.fail("via", f"{shown(entry.via)}: {why}")
    return MappingProxyType(found)


def _why_not_inside(entry: Entry, entries: Mapping[str, Entry]) -> str:
    """Why a transport cannot travel inside the one that it names; empty where it can."""
    if entry.via not in entries:
        return "there is no transport of that name"
    if entry.transport.server == OF_THE_LINE:
        return "it asks the line's own resolver, which is not reached through another; name a resolver in its link"
    outer = beneath({name: one.via for name, one in entries.items()}, entry.name)
    if not outer or entries[outer[-1]].via in entries:
        return "that goes round in a circle"
    if len(outer) >= chain.DEEPEST:
        return f"{len(outer) + 1} transports inside each other; at most {chain.DEEPEST} may be"
    return chain.why_not(entry.transport, entries[entry.via].transport)


def builtin_ladder(read: Read, *, straight: bool) -> dict[str, Entry]:
    """No server at all, then Tor over the bridges of a file, a transport for each kind of bridge, in its order.

    `straight`: not beside a subscription, whose list would else be there only once the household has gone straight out.
    """
    none = NAMELESS[Desync.kind]
    first = {none: Entry(none, Desync())} if straight else {}
    known = _known_to_all(read)
    kinds = dict.fromkeys(bridge.by for bridge in known)
    names = {by: f"Tor ({by or 'plain'})" for by in kinds}
    return first | {names[by]: Entry(names[by], Tor(tuple(b for b in known if b.by == by))) for by in kinds}


def _known_to_all(read: Read) -> tuple[Bridge, ...]:
    """The bridges of the file; none where it cannot be read."""
    try:
        lines = [line for line in read(BRIDGES).splitlines() if line.strip() and not line.startswith("#")]
    except OSError:
        return ()
    except UnicodeDecodeError as e:
        raise SettingsError(f"{BRIDGES}: is not UTF-8 text (byte {e.start})") from e
    try:
        return bridges(lines).bridges
    except LinkError as e:
        raise SettingsError(f"{BRIDGES}: {e}") from e


def _entry(table: Table, read: Read) -> Entry:
    name = name_of(table)
    enabled, ipv6 = table.take("enabled", bool, True), table.take("ipv6", bool, True)
    via = table.take("via", str, "")
    sources = [key for key in ("uri", "config", "file") if key in table.values]
    if not sources and table.values.get("kind") == Tor.kind:
        moat = table.values.get("bridges") == MOAT
        return Entry(name, _tor(table, read, moat), enabled, ipv6, via, moat=moat)
    if not sources and table.values.get("kind") == Desync.kind:
        return Entry(name, _desync(table), enabled, ipv6, via)
    if len(sources) != 1:
        raise table.fail(
            "uri", "give exactly one of uri (a share link), config (wg-quick or OpenVPN text), file (its path)"
        )
    text = table.take(sources[0], str)
    try:
        if sources[0] == "uri":
            transport = parse(text).transport
        else:
            transport = configuration(read(text) if sources[0] == "file" else text)
    except (LinkError, OSError, ValueError) as e:  # ValueError: a NUL in the path; not UTF-8
        raise table.fail(sources[0], str(e)) from e
    if (kind := table.take("kind", str, transport.kind)) != transport.kind:
        raise table.fail("kind", f"{shown(kind)}, but the {sources[0]} is of kind {transport.kind!r}; leave kind out")
    table.done()
    return Entry(name, transport, enabled, ipv6, via)


def _tor(table: Table, read: Read, moat: bool) -> Tor:
    """Written out: kind = "tor", and the bridge lines as a list, or "moat" in its place."""
    table.take("kind", str)
    if moat:
        return _until_answered(table, read)
    if isinstance(table.values.get("bridges"), str):
        raise table.fail("bridges", f'must be a list of bridge lines, or "{MOAT}"')
    lines = table.strings("bridges")
    table.done()
    try:
        return bridges(lines)
    except LinkError as e:
        raise table.fail("bridges", str(e)) from e


def _until_answered(table: Table, read: Read) -> Tor:
    """Never without bridges: that would be Tor in the open, which was not asked for."""
    table.take("bridges", str)
    table.done()
    if not (known := _known_to_all(read)):
        raise table.fail("bridges", f"there are none in {BRIDGES}, which are used until Moat has answered")
    return Tor(known)


def _desync(table: Table) -> Desync:
    """Written out: kind = "desync", and a strategy, or auto."""
    table.take("kind", str)
    strategy = table.take("strategy", str, AUTO)
    table.done()
    try:
        return written(strategy)
    except StrategyError as e:
        raise table.fail("strategy", f"{shown(strategy)}: {e}; or write {AUTO!r}") from e


def name_of(table: Table) -> str:
    name = cast(str, table.take("name", str))
    if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip() or name.startswith("service:"):
        why = "must be 1 to 64 printable characters, without spaces around, and not begin with service:"
        raise table.fail("name", f"{shown(name)} {why}")
    return name
