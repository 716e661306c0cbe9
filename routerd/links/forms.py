"""What a text is: a list of links, a list in base64, or a document; and the pieces that it falls into."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import chain

from routerd.links import INTERFACE, amnezia, clash, lines, singbox, sip008, unknown, wall, xray
from routerd.links.document import Json, Piece, items, shown
from routerd.links.wall import LinkError
from routerd.links.yaml import tree

LARGEST = 5 << 20  # characters of a document; lists may be longer
DEEPEST = 3  # base64 in base64
MARKS = lines.MARKS + "\r\n"
CLASH = re.compile(r"^(?:proxies|proxy-providers)[ \t]*:", re.MULTILINE)
OUTLINE = re.compile(r"^transport[ \t]*:", re.MULTILINE)
MAYBE_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16}[A-Za-z0-9+/=_\s-]*")
BLANKS = str.maketrans(dict.fromkeys(MARKS, "."))
UNKNOWN_DOCUMENT = "The document is of no form that is known: Clash, sing-box, Xray, SIP008, Outline or Amnezia."


def pieces(text: str, depth: int = 0) -> Iterator[Piece]:
    text = text.lstrip(MARKS)
    if inner := unwrapped(text):
        if depth == DEEPEST:
            yield Piece(text, reason="It is wrapped in base64 again and again.")
        else:
            yield from pieces(inner, depth + 1)
        return
    found = document(text) if len(text) <= LARGEST else None
    yield from lines.pieces(text) if found is None else found


def unwrapped(text: str) -> str:
    """What a panel gives in base64; "" where it is none."""
    if not MAYBE_BASE64.fullmatch(text[:256]):
        return ""
    try:
        found = wall.base64("".join(text.split()), "list").decode()
    except (LinkError, UnicodeDecodeError):
        return ""
    return "" if any(map(wall.invisible, found[:64].translate(BLANKS))) else found


def document(text: str) -> Iterator[Piece] | None:
    """None where the text is a list of lines."""
    if text.startswith("{") or re.match(r"\[\s*(?:\{|\])", text):
        return parsed(text, json_tree)
    if "[interface]" in text.lower() and INTERFACE.search(text):  # the first is a hundred times as quick
        return confs(text)
    if "remote" in text.lower() and unknown.is_ovpn(text):
        return iter([Piece(text, text)])
    if ("prox" in text and CLASH.search(text)) or ("transport" in text and OUTLINE.search(text)):
        return parsed(text, tree)
    return None


def parsed(text: str, read: Callable[[str], object]) -> Iterator[Piece]:
    try:
        found = list(entries(read(text), text))
    except LinkError as e:
        found = [Piece(text, reason=e.reason)]
    return iter(found or [Piece(text, reason="The document lists no servers.")])


def json_tree(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise LinkError("The document is not valid JSON.") from None


def entries(found: object, text: str) -> Iterator[Piece]:
    match found:
        case list():
            return chain.from_iterable(entries(each, shown(each)) for each in listed(found))
        case dict():
            return of_table(found, text)
        case _:
            return iter([Piece(text, reason=UNKNOWN_DOCUMENT)])


def listed(found: list[object]) -> list[object]:
    """SIP008 once was the bare list of its servers."""
    bare = found and all(isinstance(each, dict) and "server_port" in each and "type" not in each for each in found)
    return [{"servers": found}] if bare else found


def of_table(found: Json, text: str) -> Iterator[Piece]:
    match found:
        case {"proxies": list()} | {"proxy-providers": dict()}:
            return clash.pieces(found)
        case {"outbounds": list()} | {"endpoints": list()}:
            native = any(isinstance(each, dict) and "protocol" in each for each in items(found, "outbounds"))
            return xray.pieces(found) if native else singbox.pieces(found)
        case {"servers": list()}:
            return sip008.pieces(found)
        case {"containers": list()}:
            return iter([amnezia.opened_json(found, text)])
        case {"transport": _}:
            return iter([one(lambda: sip008.outline(found), text)])
        case {"server": str(), "method": str()}:
            return iter([one(lambda: sip008.link(found), text)])
        case {"type": str(), "server": str()}:
            return singbox.pieces({"outbounds": [found]})
        case {"protocol": str()}:
            return xray.pieces({"outbounds": [found]})
    return iter([Piece(text, reason=UNKNOWN_DOCUMENT)])


def one(link: Callable[[], str], text: str) -> Piece:
    try:
        return Piece(text, link())
    except LinkError as e:
        return Piece(text, reason=e.reason)


def confs(text: str) -> Iterator[Piece]:
    """wg-quick files, one after the other. What stands before the first is its comment, or a list."""
    begins = [match.start() for match in INTERFACE.finditer(text)]
    before = text[: begins[0]]
    if all(line.lstrip().startswith(("#", ";")) or not line.strip() for line in before.splitlines()):
        begins[0] = 0
    else:
        yield from lines.pieces(before)
    for begin, end in zip(begins, [*begins[1:], len(text)], strict=True):
        yield Piece(text[begin:end], text[begin:end])
