"""A document's entries, each made into the share link that it is: text, which then passes the one wall.

Trees come from JSON (dicts, lists, text, numbers, booleans) or from YAML (dicts, lists and text alone: yaml.py).
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from routerd.links import wall
from routerd.links.amneziawg import NAMES
from routerd.links.uri import Query, written
from routerd.links.wall import LinkError

Json = dict[str, object]
Place = tuple[str, int]
Link = Callable[[Json], str]  # raises LinkError

CHAIN = "It goes out through another entry of its document; add both, and name the first one in `via` of the second."
OWN_AUTHORITY = "It wants a certificate of its own (an authority, or one to show), which a link cannot carry."
NO_SERVER = "It is no server: a group, a rule, or the way out without any."


@dataclass(frozen=True, slots=True)
class Piece:
    """One line of a list or entry of a document: what it was, and the link or file that it is, or why it is none.

    `subscription`: the address that has to be fetched, where it is one. `name`: where the text has none of its own.
    """

    shown: str = field(repr=False)
    text: str = field(default="", repr=False)
    reason: str = ""
    subscription: str = field(default="", repr=False)
    name: str = ""


def pieces(entries: Iterable[object], link: Link) -> Iterator[Piece]:
    for entry in entries:
        try:
            if not isinstance(entry, dict):
                raise LinkError("The entry is not a table of keys and values.")
            yield Piece(shown(entry), link(entry))
        except LinkError as e:
            yield Piece(shown(entry), reason=e.reason)


def shown(entry: object) -> str:
    return clean(json.dumps(entry, ensure_ascii=False))


def clean(value: str) -> str:
    """Without halves of characters, which JSON can hold and UTF-8 cannot."""
    return value.encode(errors="replace").decode()


def text(entry: Mapping[str, object], *keys: str) -> str:
    """The first of these that is there and plain, as text."""
    for key in keys:
        match entry.get(key):
            case bool() as value:
                return "true" if value else "false"
            case int() as value if abs(value) < 1 << 64:
                return str(value)
            case str() as value if value:
                return clean(value)
    return ""


def flag(entry: Mapping[str, object], key: str) -> bool:
    return text(entry, key).lower() in ("true", "1", "yes", "on")


def terms(options: Mapping[str, object]) -> Query:
    """What AmneziaWG has beside WireGuard, as a link's parameters."""
    found = {key.replace("-", "").replace("_", "").lower(): text(options, key) for key in options}
    return {key: value for key, value in found.items() if key in NAMES}


def child(entry: Mapping[str, object], key: str) -> Json:
    found = entry.get(key)
    return found if isinstance(found, dict) else {}


def items(entry: Mapping[str, object], key: str) -> list[object]:
    found = entry.get(key)
    return found if isinstance(found, list) else []


def first(entry: Mapping[str, object], key: str) -> Json:
    """Of a list of tables the first."""
    return next((item for item in items(entry, key) if isinstance(item, dict)), {})


def texts(entry: Mapping[str, object], key: str) -> str:
    """A list, or one value, as a list with commas."""
    return ",".join(text({"": item}, "") for item in items(entry, key)) or text(entry, key)


def header(headers: Mapping[str, object], name: str) -> str:
    """HTTP headers are the same in any case; a value may be a list."""
    return next((texts(headers, key).partition(",")[0] for key in headers if key.lower() == name), "")


def insecure(off: bool) -> Query:
    return {"insecure": "1" if off else ""}


def place(entry: Mapping[str, object], host: str = "server", port: str = "port") -> Place:
    """Checked here already, so that a name with an @ in it does not move the link's parts."""
    return wall.host(text(entry, host)), wall.port(text(entry, port))


def uri(scheme: str, user: str, at: tuple[str, int | str], query: Mapping[str, str], name: str) -> str:
    return written(scheme, quote(user, safe=""), at, query, name)


def with_password(scheme: str, user: str, password: str, at: Place, query: Mapping[str, str], name: str) -> str:
    both = f"{quote(user, safe='')}:{quote(password, safe='')}" if user or password else ""
    return written(scheme, both, at, query, name)


def shadowsocks(method: str, password: str, at: Place, plugin: str, name: str) -> str:
    user = urlsafe_b64encode(f"{method}:{password}".encode()).decode().rstrip("=")
    return written("ss", user, at, {"plugin": plugin}, name)


def plugin(name: str, options: Mapping[str, str]) -> str:
    """SIP003's list of options; those with an empty value are left out."""
    return ";".join([name, *(f"{key}={escaped(value)}" for key, value in options.items() if value)])


def escaped(value: str) -> str:
    return "".join("\\" + char if char in "\\;" else char for char in value)
