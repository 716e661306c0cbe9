"""What an examination has around its target: ways out, references, resolvers; the names of all; and its notes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from routerd.diagnosis import Evidence, Line, Page, Stage, Through
from routerd.model import mark
from routerd.probe.https import ProbeError
from routerd.probe.lookup import lookup
from routerd.probe.stages import Seen, resolve
from routerd.table import is_address

LOOKUP = 4.0  # seconds
DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Way:
    """`slot` of an exit, or of the mark that may go directly."""

    name: str
    slot: int


@dataclass(frozen=True, slots=True)
class Around:
    """What an examination may use beside its target. `exits`: those that are up, the active one first.

    `references`: URLs of well-known sites; `resolvers`: addresses that answer on TCP 443 everywhere; `provider`: the
    provider's own resolvers. `direct` None leaves everything out that the provider would see.
    """

    direct: Way | None
    exits: tuple[Way, ...]
    references: tuple[str, ...]
    resolvers: tuple[str, ...]
    provider: tuple[str, ...]
    line: Line


@dataclass(slots=True)
class Notes:
    """Evidence as it grows."""

    words: dict[str, str] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    through: list[Through] = field(default_factory=list)
    pages: dict[str, Page | None] = field(default_factory=dict)  # over plain HTTP, by field of Evidence
    detail: str = ""

    def add(self, field_: str, stage: str, way: str, seen: Seen) -> Seen:
        self.words[field_] = seen.word
        self.show(stage, way, seen)
        return seen

    def show(self, stage: str, way: str, seen: Seen) -> None:
        self.stages.append(Stage(stage, way, seen.ok, seen.detail, seen.ms))

    def evidence(self) -> Evidence:
        return Evidence.of(self.words)


@dataclass(slots=True)
class Naming:
    """Addresses of the site and of the references: what the provider says, and what DoH through an exit says."""

    host: str
    around: Around
    said: tuple[str, ...] = ()  # by the provider
    true: tuple[str, ...] = ()
    references: dict[str, str] = field(default_factory=dict)  # host -> address

    @property
    def address(self) -> str:
        return next(iter(self.true or self.said), "")

    async def ask(self, notes: Notes) -> None:
        if is_address(self.host):
            self.true = (self.host,)
        named = [self.host] if self.host and not is_address(self.host) else []
        hosts = [*named, *self.reference_hosts()]
        await asyncio.gather(self._through(hosts, notes), self._provider(hosts, notes))

    def reference_hosts(self) -> list[str]:
        hosts = [urlsplit(url).hostname or "" for url in self.around.references]
        return [host for host in dict.fromkeys(hosts) if host and host != self.host][:3]

    async def _through(self, hosts: list[str], notes: Notes) -> None:
        async def one(host: str) -> None:
            seen = await self._doh(host)
            if host == self.host:
                self.true = seen.addresses
                notes.show("dns", self.around.exits[0].name, seen)
            elif seen.addresses:
                self.references[host] = seen.addresses[0]

        if self.around.exits:
            await asyncio.gather(*map(one, hosts))

    async def _doh(self, host: str) -> Seen:
        """Of two exits the one that has an answer."""
        seen = await asyncio.gather(*(self._doh_through(host, way) for way in self.around.exits[:2]))
        return next((one for one in seen if one.ok), seen[0])

    async def _doh_through(self, host: str, way: Way) -> Seen:
        error = ""
        for family in ("A", "AAAA"):
            try:
                found = await lookup(host, len(self.around.resolvers), way.slot, LOOKUP, family)
                return Seen("ok", ", ".join(map(str, found)), addresses=tuple(map(str, found)))
            except ProbeError as e:
                error = error or str(e)
                if "NOERROR" not in error:
                    break
        return Seen("silent", error)

    async def _provider(self, hosts: list[str], notes: Notes) -> None:
        direct = self.around.direct
        if direct is None or not hosts:
            return
        if not self.around.provider:
            notes.show("dns", DIRECT, Seen("untried", "the provider's resolver is not known here"))
            return
        sent = mark(direct.slot)
        answers = await asyncio.gather(*(_said(host, self.around.provider[0], sent) for host in hosts))
        notes.words["domestic"] = "ok" if any(seen.ok for seen in answers) else "silent"
        for host, seen in zip(hosts, answers, strict=True):
            if host == self.host:
                self.said = seen.addresses
                notes.words["dns"] = "untried" if seen.ok else "silent"
                notes.show("dns", DIRECT, seen)
            elif seen.addresses:
                self.references.setdefault(host, seen.addresses[0])


async def _said(host: str, resolver: str, sent: int) -> Seen:
    """IPv4 where the name has it: the line may have no IPv6."""
    seen = await resolve(host, resolver, sent)
    return await resolve(host, resolver, sent, "AAAA") if seen.detail == "NOERROR" else seen
