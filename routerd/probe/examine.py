"""Experiment and control side by side: the stages to one site, directly and through the exits, as evidence.

It does not judge; diagnosis.py does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from routerd.diagnosis import Names, Page, Through, is_bogus, is_portal, same
from routerd.model import mark
from routerd.probe.around import DIRECT, Around, Naming, Notes, Way
from routerd.probe.pages import download, plain
from routerd.probe.stages import Seen, connect, handshake, quic


@dataclass(frozen=True, slots=True)
class Site:
    host: str
    port: int = 443
    path: str = "/"


# -- a site ---------------------------------------------------------------------------------------------------------


async def examine(site: Site, around: Around) -> Notes:
    notes = Notes({"line": around.line})
    if around.line != "up":
        return notes
    names = Naming(site.host, around)
    await names.ask(notes)
    tasks: list[Awaitable[None]] = [_control(site, around, names, notes)]
    if around.direct is not None:
        tasks += [_experiment(site, around.direct, names, notes), look_at_line(around, around.direct, names, notes)]
    await asyncio.gather(*tasks)
    _compare(notes)
    return notes


async def _experiment(site: Site, way: Way, names: Naming, notes: Notes) -> None:
    address, sent = names.address, mark(way.slot)
    if not address:
        return
    await asyncio.gather(
        _names(site, names, sent, notes),
        _tls(site, address, sent, next(iter(names.reference_hosts()), ""), notes),
        _plain(site, address, way, notes),
        _udp(site, address, way, notes),
    )


async def _tls(site: Site, address: str, sent: int, cover: str, notes: Notes) -> None:
    if not notes.add("tcp", "tcp", DIRECT, await connect(address, site.port, sent)).ok:
        return
    # The innocuous name first: some censors punish the whole address for minutes after a name they do not like.
    if cover:
        notes.add("cover", "tls, other name", DIRECT, await handshake(address, site.port, sent, cover, verify=False))
    seen = await handshake(address, site.port, sent, site.host, verify=True)
    if notes.add("tls", "tls", DIRECT, seen).ok:
        seen = await download(site.host, site.path, address, site.port, sent)
        notes.add("body", "body", DIRECT, seen)
        notes.detail = f"Directly: {seen.detail}." if not seen.ok else ""


async def _plain(site: Site, address: str, way: Way, notes: Notes) -> None:
    seen, notes.pages["http"] = await plain(site.host, "/", address, mark(way.slot))
    notes.add("http", "http", way.name, seen)


async def _udp(site: Site, address: str, way: Way, notes: Notes) -> None:
    notes.add("udp", "quic", way.name, await quic(address, site.port, mark(way.slot)))


async def _names(site: Site, names: Naming, sent: int, notes: Notes) -> None:
    """Sites have many addresses: one that nobody else was told is no lie if the site's certificate is there."""
    if notes.words.get("dns") in (None, "silent"):
        return
    notes.words["dns"] = await _truth(site, names, sent)


async def _truth(site: Site, names: Naming, sent: int) -> Names:
    if not names.true:
        return "lied" if any(map(is_bogus, names.said)) else "untried"
    if set(names.true) & set(names.said):
        return "ok"
    if not names.said or is_bogus(names.said[0]):
        return "lied"
    seen = await handshake(names.said[0], site.port, sent, site.host, verify=True)
    return "ok" if seen.ok else "lied"


def _compare(notes: Notes) -> None:
    here, there = notes.pages.get("http"), notes.pages.get("http_opens")
    if here and there and not same(here, there):
        notes.words["http"] = "other"
        notes.detail = notes.detail or f"It gives {_page(here)} directly, {_page(there)} through the transport."


def _page(page: Page) -> str:
    return f"status {page.status}" + (f" to {page.moved}" if page.moved else "") + f", {page.size} bytes"


# -- the control ------------------------------------------------------------------------------------------------------


async def _control(site: Site, around: Around, names: Naming, notes: Notes) -> None:
    """Through all exits at once: any of them may have just died, and not each one carries UDP."""
    if not around.exits:
        return
    carrying = asyncio.create_task(carries(around, names.references))
    if address := names.address:
        await asyncio.gather(
            _through_tls(site, address, around, notes),
            _through_plain(site, address, around, notes),
            _through_udp(site, address, around, notes),
        )
    if "opens" not in notes.words:
        # An address that only the provider gave may be a lie: that it does not open proves nothing.
        doubtful = bool(names.said) and not names.true
        notes.words["opens"] = "failed" if await carrying and not doubtful else "untried"
    carrying.cancel()


async def _through_tls(site: Site, address: str, around: Around, notes: Notes) -> None:
    seen = await _all(handshake(address, site.port, mark(w.slot), site.host, verify=True) for w in around.exits)
    for way, one in zip(around.exits, seen, strict=True):
        notes.through.append(Through(way.name, one.ok, one.ms))
        notes.show("tls", way.name, one)
    good, one = _first(around, seen)
    if one.ok:
        notes.words["opens"] = "ok"
        body = await download(site.host, site.path, address, site.port, mark(good.slot))
        notes.show("body", good.name, body)
        notes.words["body_opens"] = "ok" if body.ok else "failed"


async def _through_plain(site: Site, address: str, around: Around, notes: Notes) -> None:
    tries = [plain(site.host, "/", address, mark(way.slot)) for way in around.exits[:2]]
    answers = await asyncio.gather(*tries)
    good, one = _first(around, [seen for seen, _ in answers])
    notes.pages["http_opens"] = next((page for seen, page in answers if seen is one), None)
    notes.show("http", good.name, one)
    notes.words["http_opens"] = "ok" if one.ok else "failed"


async def _through_udp(site: Site, address: str, around: Around, notes: Notes) -> None:
    good, one = _first(around, await _all(quic(address, site.port, mark(way.slot)) for way in around.exits))
    notes.show("quic", good.name, one)
    notes.words["udp_opens"] = "ok" if one.ok else "failed"


def _first(around: Around, seen: list[Seen]) -> tuple[Way, Seen]:
    """The first exit that did well, else the first."""
    return next(
        ((way, one) for way, one in zip(around.exits, seen, strict=False) if one.ok), (around.exits[0], seen[0])
    )


async def carries(around: Around, references: dict[str, str]) -> bool:
    """Whether any exit carries a reference just now."""
    tries = [
        handshake(address, 443, mark(way.slot), host, verify=True)
        for way in around.exits
        for host, address in references.items()
    ]
    return any(seen.ok for seen in await asyncio.gather(*tries))


# -- the line ---------------------------------------------------------------------------------------------------------


async def look_at_line(around: Around, way: Way, names: Naming, notes: Notes) -> None:
    """The references, directly: a censor may block some of them, a broken line takes all."""
    sent = mark(way.slot)
    addresses = dict.fromkeys([*names.references.values(), *around.resolvers])
    reached, dates, _ = await asyncio.gather(
        _all(connect(address, 443, sent) for address in addresses),
        _all(handshake(address, 443, sent, host, verify=True) for host, address in names.references.items()),
        _portal(around, names.references, sent, notes),
    )
    if reached:
        good = [seen for seen in reached if seen.ok]
        notes.words["abroad"] = "ok" if good else "silent"
        notes.show("others", DIRECT, (good or reached)[0])
    if any(seen.ok for seen in dates):
        notes.words["clock"] = "right"
    elif sum(seen.word == "dated" for seen in dates) > 1:
        notes.words["clock"] = "wrong"


async def _all(tries: Iterable[Awaitable[Seen]]) -> list[Seen]:
    return list(await asyncio.gather(*tries))


async def _portal(around: Around, references: dict[str, str], sent: int, notes: Notes) -> None:
    asked = [(urlsplit(url).hostname or "", urlsplit(url).path or "/") for url in around.references]
    known = [(host, path) for host, path in asked if host in references][:2]
    answers = await asyncio.gather(*(plain(host, path, references[host], sent) for host, path in known))
    told = [is_portal(page, host, path) for (host, path), (_, page) in zip(known, answers, strict=True) if page]
    if told:
        notes.words["portal"] = "yes" if all(told) else "no"
