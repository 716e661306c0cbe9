"""One HTTPS request over a socket with a mark: TLS verified, total time limited, body bounded. http:// has no TLS.

SSL_CERT_FILE is honoured, as everywhere (ssl.create_default_context does).
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from ipaddress import ip_address
from urllib.parse import urlsplit

import h11

from routerd.model import Finding

PADDING = 256  # bytes, fewer than
USUAL = (("User-Agent", "Mozilla/5.0"),)
TO_CONNECT = 0.8  # of the time: who has not taken a connection by then, whose answer would come too late anyway
ENOUGH = 1 << 17  # bytes of a body, where nobody asks for less


class ProbeError(Exception):
    """Why it did not come through, in a few words; never with an address of the household's.

    `met`: whether somebody took the connection.
    """

    def __init__(self, words: str, finding: Finding = "silent", *, met: bool = True) -> None:
        super().__init__(words)
        self.finding = finding
        self.met = met


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` ends where the asker had enough."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    certificate: Mapping[str, object] = field(default_factory=dict, repr=False)  # as SSLSocket.getpeercert() has it


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for, and how. `enough`: bytes of a body; `only` asks for no more than that: what is on its way when
    we hang up costs the line as well. `grown` hears of each part's size, and of 0 when the question is asked: what is
    behind it has got through TLS. `headers`: beside those that every request has. A `body` is POSTed.
    """

    enough: int = ENOUGH
    grown: Callable[[int], None] = lambda _size: None
    only: bool = False
    headers: Sequence[tuple[str, str]] = USUAL
    body: bytes = b""
    trust: ssl.SSLContext | None = None


PLAIN = Terms()


async def fetch(url: str, address: str, mark: int, timeout: float, terms: Terms = PLAIN) -> Answer:
    """GETs `url`, or POSTs to it, at `address` through the exit of `mark`. Raises ProbeError."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await _connect(url, await _taken(url, address, mark, TO_CONNECT * timeout), terms.trust)
            try:
                answer = await _talk(reader, writer, _sent(_request(url, terms), terms.body), terms.enough, terms.grown)
                return replace(answer, certificate=writer.get_extra_info("peercert") or {})
            finally:
                # Alone: behind close() it raises on Python 3.11.2 when the peer has closed first.
                writer.transport.abort()
    except TimeoutError as e:
        raise ProbeError("no answer in time") from e
    except ssl.SSLCertVerificationError as e:
        raise ProbeError(f"the certificate is not the site's: {e.verify_message}", "forged") from e
    except ssl.SSLError as e:
        raise ProbeError(f"TLS failed: {e.reason or 'broken off'}", "refused") from e
    except ConnectionRefusedError as e:  # by this box: its engine is not there (yet)
        raise ProbeError("refused", "hung", met=False) from e
    except ConnectionResetError as e:
        raise ProbeError("reset", "refused") from e
    except (ConnectionError, h11.ProtocolError) as e:
        raise ProbeError("broken off", "refused") from e
    except OSError as e:  # by this box's own routing: its link is not there (yet)
        raise ProbeError(e.strerror or "broken off", "hung", met=False) from e


async def _taken(url: str, address: str, mark: int, timeout: float) -> socket.socket:
    """A connection that somebody has taken. Raises ProbeError where nobody does in time."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        async with asyncio.timeout(timeout):
            await loop.sock_connect(sock, (address, parts.port or (443 if parts.scheme == "https" else 80)))
    except TimeoutError as e:
        sock.close()
        raise ProbeError("no answer in time", met=False) from e
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect(
    url: str, sock: socket.socket, trust: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    # asyncio closes it when this fails. Closing it here too would give its number away while a transport still has it.
    if parts.scheme != "https":
        return await asyncio.open_connection(sock=sock)
    return await asyncio.open_connection(sock=sock, ssl=trust or _context(), server_hostname=parts.hostname)


def _request(url: str, terms: Terms) -> h11.Request:
    parts = urlsplit(url)
    host = parts.netloc
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    length = [("Content-Length", str(len(terms.body)))] if terms.body else []
    headers = [("Host", host), *terms.headers, *length, ("Accept", "*/*"), ("Connection", "close")]
    headers.append(("X-Padding", "0" * random.randrange(PADDING)))  # no two probes of one size on the wire
    if terms.only:
        headers.append(("Range", f"bytes=0-{terms.enough - 1}"))
    return h11.Request(method="POST" if terms.body else "GET", target=target, headers=headers)


Sent = tuple[h11.Connection, bytes]


def _sent(request: h11.Request, body: bytes) -> Sent:
    """The connection that has said all, and the bytes of it."""
    connection = h11.Connection(h11.CLIENT)
    events = (request, *((h11.Data(body),) if body else ()), h11.EndOfMessage())
    return connection, b"".join(connection.send(event) or b"" for event in events)


async def _talk(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    asked: Sent,
    enough: int,
    grown: Callable[[int], None],
) -> Answer:
    connection, sent = asked
    writer.write(sent)
    grown(0)
    status, received = 0, bytearray()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(1 << 14))
            case h11.Response(status_code=status, headers=found):
                headers = tuple(found)
            case h11.Data(data=data):
                received += data
                grown(len(data))
                if len(received) >= enough:
                    return Answer(status, bytes(received), headers)
            case h11.EndOfMessage() | h11.ConnectionClosed():
                return Answer(status, bytes(received), headers)
