"""One-click wrappers, clash://install-config?url=… and its like: each holds a subscription's address, or a link.

And plain addresses: https:// alone may be a proxy or a subscription. What has a user and no path is a proxy.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from routerd.links import wall
from routerd.links.document import Piece
from routerd.links.wall import LinkError

CLIENTS = {
    *("clash", "clashmeta", "mihomo", "clash-verge", "flclash", "koala-clash", "stash", "surge", "surfboard", "loon"),
    *("sing-box", "hiddify", "v2rayn", "v2rayng", "v2raytun", "v2box", "nekobox", "nekoray", "sn", "karing"),
    *("streisand", "happ", "shadowrocket", "sub", "foxray", "ssconf", "throne", "exclave", "husi"),
}
DEEPEST = 3  # wrappers in wrappers
QUERY = re.compile(r"[?&](?:url|link|config)=([^&#]*)")
INNER = re.compile(r"([a-z][a-z0-9.+-]{0,31})://", re.IGNORECASE)
ADDRESS = re.compile(r"https?://[^\s/?#@\\]+(?:[/?#][!-~]*)?", re.IGNORECASE)
WITH_USER = re.compile(r"https?://[^\s/?#@\\]+@[^\s/?#@\\]+(?P<path>[/?][!-~]+)?(?:#.*)?/?", re.IGNORECASE)
TELEGRAM = re.compile(r"https?://(?:t|telegram)\.me/(?:proxy|socks)\b", re.IGNORECASE)
TO_FETCH = "It is the address of a subscription, which has to be fetched; it is no transport by itself."
LONGEST = 4096  # characters of an address


def opened(line: str, depth: int = 0) -> Piece:
    """A wrapper's line. Its scheme is one of CLIENTS."""
    scheme, _, body = line.partition("://")
    if scheme.lower() == "happ" and body.lower().startswith("crypt"):
        return Piece(line, reason="The link is encrypted for the app Happ alone; ask its owner for one that is not.")
    if scheme.lower() == "ssconf":
        return address(line, f"https://{body}")
    found = inner(body)
    match = INNER.match(found)
    if not match or depth == DEEPEST:
        return Piece(line, reason="The link is for one app, and holds neither a subscription's address nor a link.")
    if match[1].lower() in ("http", "https"):
        return address(line, found)
    if match[1].lower() in CLIENTS:
        within = opened(found, depth + 1)
        return Piece(line, within.text, within.reason, within.subscription)
    return Piece(line, found)


def inner(body: str) -> str:
    """What follows the verb, or is its parameter `url`; percent-encoded, in base64, or as it is."""
    rest = body.partition("/")[2]
    query = QUERY.search(body)
    for found in (rest, unquote(rest), query[1] if query else "", unquote(query[1]) if query else "", body):
        if INNER.match(found):
            return found
    for found in (query[1] if query else "", rest.partition("?")[0], body.partition("?")[0].partition("#")[0]):
        if INNER.match(plain := unbase64(unquote(found))):
            return plain
    return ""


def unbase64(text: str) -> str:
    try:
        return wall.base64(text, "link").decode()
    except (LinkError, UnicodeDecodeError):
        return ""


def plain_address(line: str) -> Piece:
    """http:// or https:// on a line of its own."""
    if TELEGRAM.match(line):
        return Piece(line, reason="It is a proxy for Telegram alone.")
    match = WITH_USER.fullmatch(line)
    return Piece(line, line) if match and not match["path"] else address(line, line)


def address(line: str, found: str) -> Piece:
    """The name behind # is a subscription's name, and is not sent."""
    found = found.partition("#")[0]
    if len(found) > LONGEST or not (ADDRESS.fullmatch(found) or WITH_USER.fullmatch(found)):
        return Piece(line, reason="It is not a whole address: https://host/path is needed, without spaces.")
    return Piece(line, reason=TO_FETCH, subscription=found)
