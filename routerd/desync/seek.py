"""The search's hands: a process of its own, for as long as there is something to look for. Started by the worker.

One JSON line in for each site, `{"site", "kind", "host", "address", "won", "slot"}`; out: each try, and last
`{"site", "done", "strategy" | null, "plain"}`. Each try is a real page over a verified connection, by the household's
own way out: the number of the strategy is in the mark of its packets.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from routerd.desync.crawl import AT_ONCE, PLAIN, SECONDS, STAGGER, TRY, Crawl, Found, Try, ordered
from routerd.desync.prior import HTTP, STRONG, TLS
from routerd.model import TRIAL_PLAIN, mark
from routerd.probe.https import Answer, ProbeError, Terms, fetch
from routerd.probe.lookup import lookup_at
from routerd.probe.pages import download_once
from routerd.probe.stages import connected, timed
from routerd.table import is_address

RESOLVERS = range(4)  # of the box's: as many as the settings may name
NAMED = 1.5  # seconds for the other addresses of a name
IDLE = 20.0  # seconds without work, after which the process ends
CAUGHT = ("reset", "silent")  # signs that come behind a connection that was taken
CUT = 0.3  # seconds within which a censor resets a connection that was taken, and has said nothing yet
TAKEN = 0.8  # seconds for a connection; where the way is longer, a search is careful for nothing
BULK = ("slow", "stalled")  # signs of a censor that lets the beginning pass
BULK_TRY = 5.0  # seconds
PAGES = 40  # on one connection, where a page is short: a censor may let the first kilobytes pass
LOOK = 512  # bytes by which two pages are told apart
BODY = 1 << 15  # bytes of a page: what a name is held back to after its first packets shows in them


async def main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    running: set[asyncio.Task[None]] = set()
    while True:
        try:
            async with asyncio.timeout(IDLE):
                line = await reader.readline()
        except TimeoutError:
            if running:
                continue
            return
        if not line:
            return
        task = asyncio.create_task(search(json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)


async def search(job: dict[str, Any]) -> None:
    prior, first = (TLS, 1) if job["kind"] == "tls" else (HTTP, 1 + len(TLS))
    addresses = await _addresses(job)
    careful = bool(addresses) and job["sign"] in CAUGHT and await _shut_out(job, addresses[0])
    likely = (*job["won"], *STRONG) if careful else job["won"]
    crawl = Crawl(ordered(prior, tuple(dict.fromkeys(likely)), first), addresses, careful)
    if careful:
        crawl.ended(crawl.plain(), "unreachable")
    if addresses and job["sign"] == "forged":
        crawl.ended(*(await _one(job, crawl.plain())))
    if not addresses:
        say(job, done=True, strategy=None, plain=False, tried=0, met=False)
        return
    try:
        async with asyncio.timeout(SECONDS):
            number = await _tried(job, crawl)
    except TimeoutError:
        number = None
    plain = number == 0
    text = prior[number - first] if number else None
    say(job, done=True, strategy=text, plain=plain, tried=crawl.tried, met=crawl.met)


async def _tried(job: dict[str, Any], crawl: Crawl) -> int | None:
    """The number of what works, 0 for plain, None where nothing does."""
    pending = set[asyncio.Task[tuple[Try, Found]]]()
    if 0 not in crawl.bad:
        pending.add(asyncio.create_task(_one(job, crawl.plain())))
    try:
        while True:
            while len(pending) < AT_ONCE and (one := crawl.next()) is not None:
                pending.add(asyncio.create_task(_one(job, one)))
                await asyncio.sleep(STAGGER)
            if not pending:
                return crawl.believed
            limit = PLAIN if crawl.believed is not None else None
            done, pending = await asyncio.wait(pending, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                return crawl.believed
            for one, found in (task.result() for task in done):
                if (end := crawl.ended(one, found)) is not None:
                    return end
                if one.number == 0 and found == "good":
                    pending.add(asyncio.create_task(_one(job, crawl.plain())))
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def _one(job: dict[str, Any], one: Try) -> tuple[Try, Found]:
    began = time.monotonic()
    found = await _fetched(job, one)
    say(job, number=one.number, found=found, seconds=round(time.monotonic() - began, 2))
    return one, found


async def _shut_out(job: dict[str, Any], address: str) -> bool:
    """Whether nobody takes a connection any more where one was taken a moment ago, or it is cut off at once."""
    port = 443 if job["kind"] == "tls" else 80
    try:
        async with asyncio.timeout(TAKEN):
            sock = await connected(address, port, mark(job["slot"]) | TRIAL_PLAIN)
    except (TimeoutError, OSError):
        return True
    try:
        async with asyncio.timeout(CUT):
            await asyncio.get_running_loop().sock_recv(sock, 1)
    except TimeoutError:
        return False
    except OSError:
        return True
    finally:
        sock.close()
    return True  # a server that hangs up on who has said nothing is none of these ports'


async def _fetched(job: dict[str, Any], one: Try) -> Found:
    way = mark(job["slot"]) | (one.number or TRIAL_PLAIN)
    host = f"[{job['host']}]" if ":" in job["host"] else job["host"]
    scheme = "https" if job["kind"] == "tls" else "http"
    try:
        if scheme == "https" and job["sign"] in BULK:
            return await _enough(host, one.address, way)
        answer = await fetch(f"{scheme}://{host}/", one.address, way, TRY, Terms(BODY))
    except ProbeError as e:
        return "bad" if e.met else "unreachable"
    return _judged(job, one, answer)


async def _enough(host: str, address: str, way: int) -> Found:
    """More than the beginning of a page: the censor that began this lets only that pass."""
    seen = await timed(BULK_TRY, download_once(host, "/", address, 443, way, PAGES))
    return "good" if seen.word == "ok" else "bad"


def _judged(job: dict[str, Any], one: Try, answer: Answer) -> Found:
    """Plain HTTP proves nothing by itself. Where a page came from another distance than its server, the plain one is
    somebody else's, and so is whatever looks like it.
    """
    if job["kind"] == "tls" or job["sign"] != "forged":
        return "good"
    looks = (answer.status, answer.body[:LOOK])
    if one.number == 0:
        job["forged"] = looks
    return "bad" if job.get("forged", looks) == looks else "good"


async def _addresses(job: dict[str, Any]) -> list[str]:
    """The one that failed, and the others of the name, both families."""
    first = job["address"]
    if is_address(job["host"]):
        return [first]
    asked = [lookup_at(RESOLVERS, job["host"], job["slot"], NAMED, family) for family in ("A", "AAAA")]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    found = [str(address) for answer in answers if not isinstance(answer, BaseException) for address in answer]
    return list(dict.fromkeys([first, *found] if first else found))


def say(job: dict[str, Any], **what: object) -> None:
    print(json.dumps({"site": job["site"], **what}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
