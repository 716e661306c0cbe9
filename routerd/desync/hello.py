"""What a client's first bytes say: a TLS ClientHello (RFC 8446, 4.1.2), or the head of an HTTP/1 request. Pure.

Both may be incomplete: where they end is said as soon as it is known, and the name as soon as it is there. A name that
is none (RFC 1123) counts as no name, so that nothing odd goes further than here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HANDSHAKE, CLIENT_HELLO = 0x16, 1
RECORD = 5  # bytes of a record's head
LONGEST = 16384  # bytes of a hello, or of a request's head, that are waited for
SERVER_NAME = 0
NAME = re.compile(rb"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
METHOD = re.compile(rb"(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|TRACE) ")
METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ")
# No two parts of it may match the same byte: a line of spaces would take minutes.
HOST = re.compile(rb"\n([Hh][Oo][Ss][Tt]):([ \t]*+)([^\r\n]*+)\r?\n")
HEAD_ENDS = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Said:
    """`name`: in lower case, or empty. `start`, `end`: where it stands in the stream, -1 without one.

    `extension`: where the extension that holds it, or the header, begins. `whole`: nothing is missing.
    """

    kind: str
    name: str = ""
    start: int = -1
    end: int = -1
    extension: int = -1
    whole: bool = False


def said(data: bytes) -> Said | None:
    """None where it is neither, for certain."""
    return hello(data) or request(data)


def hello(data: bytes) -> Said | None:
    """None where this cannot be a ClientHello. It may span several records, as browsers' larger ones do not."""
    if data[:1] != b"\x16" or (len(data) > 1 and data[1] != 3) or (len(data) > 5 and data[5] != CLIENT_HELLO):
        return None
    body, places = _unwrapped(data)
    if len(body) < 4:
        return Said("tls")
    size = int.from_bytes(body[1:4])
    whole = len(body) >= 4 + size
    if size > LONGEST:
        return Said("tls", whole=True)
    found = _server_name(body[: 4 + size])
    if found is None:
        return Said("tls", whole=whole)
    start, end, extension = found
    name = _name(body[start:end])
    # In several records, the name may be cut by a record's head; then it has no one place.
    if not name or places[end - 1] - places[start] != end - 1 - start:
        return Said("tls", name, whole=whole)
    return Said("tls", name, places[start], places[end - 1] + 1, places[extension], whole)


def _unwrapped(data: bytes) -> tuple[bytes, range | list[int]]:
    """The handshake message without its records' heads, and where in `data` each of its bytes stands."""
    length = int.from_bytes(data[3:5]) if len(data) >= RECORD else 0
    if len(data) <= RECORD + length:
        return data[RECORD : RECORD + length], range(RECORD, len(data))
    body, places, at = bytearray(), list[int](), 0
    while at + RECORD <= len(data) and data[at] == HANDSHAKE and len(body) <= LONGEST:
        end = min(len(data), at + RECORD + int.from_bytes(data[at + 3 : at + 5]))
        if end <= at + RECORD:
            break
        body += data[at + RECORD : end]
        places += range(at + RECORD, end)
        at = end
    return bytes(body), places


def _server_name(body: bytes) -> tuple[int, int, int] | None:
    """Begin and end of the name, and the begin of its extension; None where it is not there, or not yet."""
    at = 4 + 2 + 32
    try:
        at += 1 + body[at]
        at += 2 + int.from_bytes(body[at : at + 2])
        at += 1 + body[at]
    except IndexError:
        return None
    at += 2
    while at + 4 <= len(body):
        kind, size = int.from_bytes(body[at : at + 2]), int.from_bytes(body[at + 2 : at + 4])
        if kind == SERVER_NAME:
            length = int.from_bytes(body[at + 7 : at + 9])
            start = at + 9
            fits = at + 9 <= len(body) and body[at + 6] == 0 and 0 < length <= size - 5 and start + length <= len(body)
            return (start, start + length, at) if fits else None
        at += 4 + size
    return None


def request(data: bytes) -> Said | None:
    """None where this cannot be the head of a request."""
    if not METHOD.match(data) and not any(method.startswith(data[:8]) for method in METHODS if data):
        return None
    ended = HEAD_ENDS.search(data, 0, LONGEST)
    whole = ended is not None or len(data) >= LONGEST
    found = HOST.search(data, 0, ended.end() if ended else LONGEST)
    if not found:
        return Said("http", whole=whole)
    value = found[3].rstrip(b" \t")
    host = value.rpartition(b":")[0] if re.fullmatch(rb".*:\d{1,5}", value) else value
    name = _name(host)
    start = found.start(3)
    return Said("http", name, start, start + len(host), found.start(1), whole) if name else Said("http", whole=whole)


def _name(raw: bytes) -> str:
    fits = len(raw) <= 253 and NAME.fullmatch(raw)
    return raw.decode("ascii").lower().rstrip(".") if fits else ""
