"""Names for probes and for servers: asked of our resolver child, which asks by DoH through the exit of a slot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import ip_address

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

from routerd.model import Address
from routerd.probe.https import ProbeError
from routerd.render.dns import port_of


async def lookup(name: str, resolvers: int, slot: int, timeout: float, family: str = "A") -> tuple[Address, ...]:
    """The first good answer of `resolvers` resolvers, all asked at once, through `slot`. Raises ProbeError."""
    return await lookup_at(range(resolvers), name, slot, timeout, family)


async def lookup_at(
    resolvers: Iterable[int], name: str, slot: int, timeout: float, family: str = "A"
) -> tuple[Address, ...]:
    """As `lookup`, of these resolvers alone."""
    tasks = [asyncio.create_task(_ask(port_of(slot, i), name, timeout, family)) for i in resolvers]
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


async def _ask(port: int, name: str, timeout: float, family: str) -> tuple[Address, ...]:
    answer = await _answer(port, dns.message.make_query(name, family), timeout)
    kind = dns.rdatatype.from_text(family)
    found = tuple(ip_address(item.address) for rrset in answer.answer if rrset.rdtype == kind for item in rrset)
    if answer.rcode() != dns.rcode.NOERROR or not found:
        raise ProbeError(f"the resolver has no address ({dns.rcode.to_text(answer.rcode())})")
    return found


async def _answer(port: int, query: dns.message.Message, timeout: float) -> dns.message.Message:
    """Asks again after a quarter, half, one second: the resolver may be starting, and its first way out may be dead."""
    pause = 0.25
    try:
        async with asyncio.timeout(timeout):
            while True:
                try:
                    return await dns.asyncquery.udp(query, "127.0.0.1", timeout=pause, port=port)
                except (dns.exception.Timeout, OSError):
                    pause = min(2.0, pause * 2)
    except (dns.exception.DNSException, TimeoutError) as e:
        raise ProbeError("no resolver answers") from e
