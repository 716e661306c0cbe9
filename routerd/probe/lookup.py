"""Names by DoH (RFC 8484), each query through the exit of a mark; never in clear."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from urllib.parse import urlsplit

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

from routerd.model import Address
from routerd.probe.https import ProbeError, fetch


async def lookup(name: str, resolvers: tuple[str, ...], mark: int, timeout: float, family: str = "A") -> tuple[Address, ...]:
    """The first good answer of any resolver, all asked at once. Raises ProbeError."""
    tasks = [asyncio.create_task(_ask(url, name, mark, timeout, family)) for url in resolvers]
    error = ProbeError("no resolver")
    try:
        for done in asyncio.as_completed(tasks):
            try:
                return await done
            except ProbeError as e:
                error = e
        raise error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(url: str, name: str, mark: int, timeout: float, family: str) -> tuple[Address, ...]:
    query = dns.message.make_query(name, family)
    query.id = 0  # RFC 8484, section 4.1: cache friendly, and no fingerprint
    answer = await fetch(url, urlsplit(url).hostname or "", mark, timeout, query.to_wire())
    try:
        message = dns.message.from_wire(answer.body)
    except dns.exception.DNSException as e:
        raise ProbeError("the resolver's answer is none") from e
    kind = dns.rdatatype.from_text(family)
    found = tuple(ip_address(item.address) for rrset in message.answer if rrset.rdtype == kind for item in rrset)
    if answer.status != 200 or message.rcode() != dns.rcode.NOERROR or not found:
        raise ProbeError(f"the resolver has no address ({dns.rcode.to_text(message.rcode())})")
    return found
