"""A share link taken apart: scheme://userinfo@host:port/path?query#name. By hand, since links are often no URLs.

Hysteria2's port lists and unescaped base64 break the standard library's parser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

from routerd.links import wall
from routerd.links.wall import LinkError

HOST_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(.*))?")
CHECKS_OFF = {"insecure", "allowinsecure", "allow_insecure", "skip-cert-verify", "skipcertverify"}
Query = dict[str, str]


@dataclass(frozen=True, slots=True)
class Uri:
    """`userinfo` is still percent-encoded, the rest is not. `port` is the text after the host's colon."""

    scheme: str
    userinfo: str = field(repr=False)
    host: str
    port: str
    query: Query = field(repr=False)
    name: str


def decoded(text: str) -> str:
    if "%" not in text:
        return text
    try:
        return unescaped(text).decode()
    except UnicodeDecodeError:
        raise LinkError("The link has percent-escapes that are not UTF-8.") from None


def unescaped(text: str) -> bytes:
    return unquote_to_bytes(text.encode(errors="surrogatepass"))


def query(text: str) -> Query:
    """A plus is a plus here: links are written with encodeURIComponent. A key that repeats is refused."""
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    found = {decoded(key): decoded(value) for key, _, value in pairs}
    if len(found) != len(pairs):
        raise LinkError("The link gives one of its parameters twice.")
    return found


def split(text: str) -> Uri:
    scheme, _, body = text.partition("://")
    before, _, fragment = body.partition("#")
    authority, _, parameters = before.partition("?")
    userinfo, _, place = authority.rpartition("@")
    match = HOST_PORT.fullmatch(place.partition("/")[0])
    if not match:
        raise LinkError("The link has no server: host:port is needed, with an IPv6 address in brackets.")
    name = unescaped(fragment).decode(errors="replace") if "%" in fragment else fragment
    return Uri(scheme.lower(), userinfo, decoded(match[1]), match[2] or "", query(parameters), name)


def refuse_insecure(query: Query) -> None:
    """A link that turns certificate checking off is never followed."""
    for key, value in query.items():
        if key.lower() in CHECKS_OFF and value.lower() not in ("", "0", "false", "no"):
            raise LinkError(
                "The link turns certificate checking off (insecure), so anyone on the way could pose as the server; "
                "ask for a link without it."
            )


def server(uri: Uri, default_port: str = "") -> tuple[str, int]:
    return wall.host(uri.host), wall.port(uri.port or default_port)


def user_and_password(uri: Uri, longest: int = 255) -> tuple[str, str]:
    """`user:password`, each percent-encoded by itself; either may be missing."""
    user, _, password = uri.userinfo.partition(":")
    found = decoded(user), decoded(password)
    for value in filter(None, found):
        wall.text(value, "user or password")
        if len(value.encode()) > longest:
            raise LinkError(f"The user or the password is longer than {longest} bytes.")
    return found


def written_user(user: str, password: str = "") -> str:
    """The inverse."""
    return f"{quote(user, safe='')}:{quote(password, safe='')}" if user or password else ""


def written(scheme: str, userinfo: str, place: tuple[str, int | str], query: Mapping[str, str], name: str) -> str:
    """What `split` takes apart: the inverse. `userinfo` is encoded already; what is empty is left out."""
    host, port = place
    at = f"{userinfo}@" if userinfo else ""
    parameters = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items() if value)
    parts = (f"?{parameters}" if parameters else "", f"#{quote(name, safe='')}" if name else "")
    return f"{scheme}://{at}{f'[{host}]' if ':' in host else host}:{port}{''.join(parts)}"
