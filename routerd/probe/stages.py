"""The stages of a diagnosis: each tries one thing over a marked socket, is limited in time, and says what it saw.

The words are those of diagnosis.Evidence. Where it went is told to the asker alone: nothing is written anywhere.
"""

from __future__ import annotations

import asyncio
import errno
import random
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import ip_address

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

CONNECT, HELLO = 4.0, 4.0  # seconds for one try; Linux sends a SYN again after 1 and 3 s, a ClientHello sooner
AGAIN = 0.3  # seconds until a datagram is sent again
DATAGRAMS = 8
NOT_YET_VALID, EXPIRED = 9, 10  # X509_V_ERR_*; OpenSSL looks at dates only once the chain is good
NOT_SENT = (errno.EPERM, errno.EACCES)  # the ruleset or a routing rule of ours said no
WORST = ("forged", "dated", "reset", "refused", "slow", "frozen", "silent", "untried")  # tells most first


@dataclass(frozen=True, slots=True)
class Seen:
    """`word` as in diagnosis.Evidence; `detail` is for a person."""

    word: str
    detail: str = ""
    ms: int = 0
    addresses: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.word == "ok"


Try = Callable[[], Awaitable[Seen]]


async def several(attempt: Try, tries: int = 3, gap: float = 0.7) -> Seen:
    """Loss is not censorship: tries again beside a try that has not ended after `gap`, and at once after a failure.

    The first that is ok wins; else the one that tells most.
    """
    running: set[asyncio.Task[Seen]] = set()
    failed: list[Seen] = []
    try:
        for left in reversed(range(tries)):
            running.add(asyncio.create_task(_awaited(attempt)))
            while running:
                more = gap if left else None
                done, running = await asyncio.wait(running, timeout=more, return_when=asyncio.FIRST_COMPLETED)
                failed += [task.result() for task in done]
                if any(seen.ok for seen in failed):
                    return next(seen for seen in failed if seen.ok)
                if left:
                    break
        return min(failed, key=lambda seen: WORST.index(seen.word))
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _awaited(attempt: Try) -> Seen:
    return await attempt()


async def timed(limit: float, attempt: Coroutine[None, None, Seen]) -> Seen:
    """One try; whatever happens to it is a word."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(limit):
            seen = await attempt
    except (TimeoutError, OSError, EOFError) as e:  # every ssl error is an OSError
        seen = failure(e, limit)
    return replace(seen, ms=round((time.monotonic() - began) * 1000))


def failure(error: BaseException, limit: float) -> Seen:
    match error:
        case ssl.SSLCertVerificationError(verify_code=code, verify_message=why):
            return Seen("dated" if code in (NOT_YET_VALID, EXPIRED) else "forged", f"the certificate: {why}")
        case ConnectionRefusedError():
            return Seen("refused", "refused")
        case ConnectionError() | EOFError() | ssl.SSLEOFError():
            return Seen("reset", "the connection was reset")
        case ssl.SSLError(reason=reason):
            return Seen("forged", f"something else than TLS of the site answered ({reason or 'broken off'})")
        case OSError(errno=number) if number in NOT_SENT:
            return Seen("untried", "our own ruleset did not let it out")
        case OSError(errno=errno.EADDRNOTAVAIL):
            return Seen("untried", "the line has no IPv6")
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
            return Seen("refused", "unreachable")
    return Seen("silent", f"nothing within {limit:.0f} s")


# -- TCP and TLS ----------------------------------------------------------------------------------------------------


async def connect(address: str, port: int, mark: int) -> Seen:
    async def attempt() -> Seen:
        (await connected(address, port, mark)).close()
        return Seen("ok", f"{address} port {port}")

    seen = await several(lambda: timed(CONNECT, attempt()))
    return replace(seen, word="refused") if seen.word == "reset" else seen


async def held(address: str, port: int, mark: int, seconds: float) -> Seen:
    """Through an engine a connection comes about at once, and ends when the far side cannot be reached."""

    async def attempt() -> Seen:
        sock = await connected(address, port, mark)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().sock_recv(sock, 1)
        except TimeoutError:
            return Seen("ok", "the far side is there")
        finally:
            sock.close()
        raise ConnectionRefusedError

    return await several(lambda: timed(seconds + CONNECT, attempt()), tries=2, gap=seconds)


async def handshake(address: str, port: int, mark: int, name: str, *, verify: bool) -> Seen:
    """TLS with this name. Without `verify` any answer of a TLS server is ok, an alert too."""

    async def attempt() -> Seen:
        try:
            _, writer = await secured(address, port, mark, name, verify=verify)
        except ssl.SSLError as e:
            if verify or isinstance(e, ssl.SSLEOFError):
                raise
            return Seen("ok", "a TLS alert")
        writer.transport.abort()
        return Seen("ok", "the certificate is the site's" if verify else "a TLS server answers")

    seen = await several(lambda: timed(HELLO, attempt()))
    return replace(seen, word="reset") if seen.word == "refused" else seen


async def secured(
    address: str, port: int, mark: int, name: str, *, verify: bool = True
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = await connected(address, port, mark)
    # asyncio closes it when this fails. Closing it here too would give its number away while a transport still has it.
    return await asyncio.open_connection(sock=sock, ssl=_context(verify), server_hostname=name)


@cache
def _context(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = verify
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    return context


async def connected(address: str, port: int, mark: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    sock = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException as e:
        sock.close()
        if isinstance(e, OSError) and e.errno == errno.ENETUNREACH and family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "no IPv6") from e  # our own line's lack, not a censor's answer
        raise
    return sock


# -- UDP --------------------------------------------------------------------------------------------------------------


async def resolve(name: str, server: str, mark: int, family: str = "A") -> Seen:
    """Asks a resolver in clear and believes the first answer, as everybody does. `ok`: whatever it said."""
    query = dns.message.make_query(name, family)
    kind = dns.rdatatype.from_text(family)

    async def attempt() -> Seen:
        data = await _exchange(server, 53, mark, query.to_wire(), lambda data: data[:2] == query.to_wire()[:2])
        try:
            answer = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return Seen("ok", "an answer that is none")
        found = tuple(item.address for rrset in answer.answer if rrset.rdtype == kind for item in rrset)
        return Seen("ok", ", ".join(found) or dns.rcode.to_text(answer.rcode()), addresses=found)

    return await timed(DATAGRAMS * AGAIN, attempt())


async def quic(address: str, port: int, mark: int) -> Seen:
    """A QUIC Initial of a version that nobody has: a server must say which ones it knows (RFC 9000, 6.1)."""
    head = bytes([0xC0 | random.getrandbits(4)]) + bytes.fromhex("1a2a3a4a")
    packet = head + b"\x08" + random.randbytes(8) + b"\x08" + random.randbytes(8)

    async def attempt() -> Seen:
        await _exchange(address, port, mark, packet.ljust(1200, b"\0"), bool)
        return Seen("ok", f"UDP {port} is answered")

    seen = await timed(DATAGRAMS * AGAIN, attempt())
    return seen if seen.word in ("ok", "untried") else replace(seen, word="silent")


async def _exchange(address: str, port: int, mark: int, packet: bytes, fits: Callable[[bytes], bool]) -> bytes:
    """Sends until an answer comes that fits."""
    loop = asyncio.get_running_loop()
    sock = await connected(address, port, mark, socket.SOCK_DGRAM)
    try:
        while True:
            await loop.sock_sendall(sock, packet)
            try:
                async with asyncio.timeout(AGAIN):
                    while not fits(data := await loop.sock_recv(sock, 4096)):
                        pass
                return data
            except TimeoutError:
                continue
    finally:
        sock.close()
