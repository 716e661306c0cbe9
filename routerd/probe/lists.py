"""Fetches the list of a subscription through an exit, and by no other way: https alone, each hop checked, all limited.

The address is a password: no error quotes it. What a host's name leads to is looked at before, and connected to (no
second look-up that could say something else); the ruleset lets no marked socket into the home either.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

from routerd.model import mark
from routerd.probe.https import Answer, ProbeError, Terms, fetch
from routerd.probe.lookup import lookup
from routerd.subscriptions import is_outside, is_public
from routerd.table import url_problem

BYTES, DECODED = 5 << 20, 5 << 20  # of an answer
SECONDS, LOOKUP = 20.0, 5.0  # for all hops together, and of that for a name
HOPS = 4
MOVED = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Validators:
    """What makes the request conditional: of the last good answer."""

    etag: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True)
class Got:
    """`headers` in lower case."""

    text: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def validators(self) -> Validators:
        return Validators(self.headers.get("etag", "")[:256], self.headers.get("last-modified", "")[:64])


async def fetch_list(url: str, agent: str, known: Validators, slot: int, resolvers: int) -> Got | None:
    """None: it is what it was. Raises ProbeError."""
    asked = [("User-Agent", agent), ("Accept-Encoding", "gzip")]
    asked += [("If-None-Match", known.etag)] if known.etag else []
    asked += [("If-Modified-Since", known.modified)] if known.modified else []
    try:
        async with asyncio.timeout(SECONDS):
            for _ in range(HOPS):
                answer = await _hop(url, asked, slot, resolvers)
                headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in answer.headers}
                if answer.status not in MOVED:
                    return _judged(answer, headers)
                url = urljoin(url, headers.get("location", ""))
    except TimeoutError as e:
        raise ProbeError(f"the list did not come within {SECONDS:.0f} s") from e
    raise ProbeError("it is sent from one address to the next")


async def post(url: str, body: str, slot: int, resolvers: int) -> str:
    """The answer to what is asked in JSON, by one hop. Raises ProbeError."""
    asked = [("User-Agent", "Mozilla/5.0"), ("Content-Type", "application/vnd.api+json")]
    try:
        async with asyncio.timeout(SECONDS):
            answer = await _hop(url, asked, slot, resolvers, body.encode())
    except TimeoutError as e:
        raise ProbeError(f"no answer within {SECONDS:.0f} s") from e
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in answer.headers}
    got = _judged(answer, headers)
    return got.text if got else ""


async def _hop(url: str, asked: list[tuple[str, str]], slot: int, resolvers: int, body: bytes = b"") -> Answer:
    host = urlsplit(url).hostname or ""
    if url_problem(url) or not is_outside(host):
        raise ProbeError("it leads to an address that is not on the Internet, or not https")
    address = await _address(host, slot, resolvers)
    return await fetch(url, address, mark(slot), SECONDS, Terms(BYTES + 1, headers=asked, body=body))


async def _address(host: str, slot: int, resolvers: int) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    found = await lookup(host, resolvers, slot, LOOKUP)
    if not all(map(is_public, found)):  # one that is not is a trap: the next look-up would give it
        raise ProbeError("its name leads to an address that is not on the Internet")
    return str(found[0])


def _judged(answer: Answer, headers: Mapping[str, str]) -> Got | None:
    if answer.status == 304:
        return None
    if answer.status != 200:
        raise ProbeError(f"the provider answers with status {answer.status}")
    if len(answer.body) > BYTES:
        raise ProbeError(f"the answer is larger than {BYTES >> 20} MB")
    if "content-length" not in headers and "chunked" not in headers.get("transfer-encoding", ""):
        raise ProbeError("nothing tells whether the answer is whole")
    return Got(decoded(answer.body, headers.get("content-encoding", "")), headers)


def decoded(body: bytes, encoding: str) -> str:
    """Raises ProbeError. What is not UTF-8 is damaged names at worst: what a node is, is ASCII."""
    match encoding.strip().lower():
        case "" | "identity":
            data = body
        case "gzip" | "x-gzip" | "deflate":
            data = _inflated(body)
        case _:
            raise ProbeError("the answer is compressed in a way that was not asked for")
    return data.decode("utf-8-sig", errors="replace")


def _inflated(body: bytes) -> bytes:
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, as its head says
    try:
        data = inflater.decompress(body, DECODED + 1)
    except zlib.error as e:
        raise ProbeError("the answer is not whole") from e
    if len(data) > DECODED:
        raise ProbeError(f"the list is larger than {DECODED >> 20} MB")
    if not inflater.eof:
        raise ProbeError("the answer is not whole")
    return data
