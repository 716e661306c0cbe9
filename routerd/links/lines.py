"""A list: one link in each line, or broken into several by a chat; a line that is no link is a piece of its own.

A line goes on in the next one if only so the two are a link, or if the link that ends there has no name and the next
line has the signs that links are made of. In doubt they are two: a lost name is better than a lost link.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from routerd.links import SCHEME, amnezia, parse, wrapper
from routerd.links.bridges import is_good
from routerd.links.document import Piece
from routerd.links.wall import LinkError

MARKS = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069 \t"
ROW = re.compile("([^\n\r\x0b\x0c\x85\u2028\u2029]*)(?:\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]|\\Z)")
SEVERAL = re.compile(r"\s+(?=(?:ss|vless|vmess|trojan|hysteria2|hy2|tuic|wireguard|awg|amneziawg|anytls|socks5?)://)")
SIGNS = re.compile(r"[?#&=@:%]")
ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
COMMENT = "It is a comment."
MOST_ROWS, MOST_TRIES = 400, 8  # rows of one link, and how many of them are tried without


def pieces(text: str) -> Iterator[Piece]:
    """All bridge lines together are one, at the end."""
    found: list[str] = []
    for block in blocks(text):
        if "://" not in block[0][:32] and is_good(block[0]):
            found.append(block[0])
        else:
            yield from [whole(block[0])] if len(block) == 1 else mended(block)
    if found:
        yield Piece("\n".join(found), "\n".join(found))


def rows(text: str) -> Iterator[str]:
    for match in ROW.finditer(text):
        row = match[1].strip(MARKS)
        if row.count("://") > 1:
            yield from SEVERAL.split(row)
        else:
            yield row


def blocks(text: str) -> Iterator[list[str]]:
    """A row, and those below it that may be its rest: no empty one between, no scheme, no space in them."""
    block: list[str] = []
    for row in rows(text):
        link = SCHEME.match(row)
        if block and row and not link and len(block) < MOST_ROWS and SCHEME.match(block[0]) and " " not in row:
            block.append(row)
            continue
        if block:
            yield block
        block = [row] if row else []
    if block:
        yield block


def mended(block: list[str]) -> Iterator[Piece]:
    alone = good(whole(block[0]))
    for end in range(len(block), max(1, len(block) - MOST_TRIES), -1):
        rest = "".join(block[1:end])
        piece = whole(block[0] + rest)
        if (not alone or goes_on(block[0], rest)) and good(piece):
            yield piece
            break
    else:
        end = 1
        yield whole(block[0])
    yield from map(whole, block[end:])


def goes_on(link: str, rest: str) -> bool:
    """Whether a link that is good by itself is not all."""
    return bool((ESCAPE if "#" in link else SIGNS).search(rest)) and not link.lower().startswith("http")


def good(piece: Piece) -> bool:
    if piece.reason:
        return bool(piece.subscription)
    try:
        return bool(parse(piece.text))
    except LinkError:
        return False


def whole(line: str) -> Piece:
    match = SCHEME.match(line)
    if not match:
        return Piece(line, line, COMMENT if line.startswith(("#", "//", ";")) else "")
    scheme = match[1].lower()
    if scheme in ("http", "https"):
        return wrapper.plain_address(line)
    if scheme == "vpn":
        return amnezia.opened(line)
    return wrapper.opened(line) if scheme in wrapper.CLIENTS else Piece(line, line)
