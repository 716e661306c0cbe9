"""A TOML table being read, and what its values are judged by. An error names the key, the value, what is allowed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit

SECRET = ("uri", "config", "bridges", "url")  # keys whose values are never shown, of whatever type they are


class SettingsError(ValueError):
    """The owner's to mend. The message begins with the key, e.g. `transport[0].uri: ...`."""


@dataclass(slots=True)
class Table:
    """A TOML table being read: each `take` removes a key, and `done` refuses what is left."""

    path: str
    values: dict[str, Any]

    def fail(self, key: str, why: str) -> SettingsError:
        return SettingsError(f"{self.path}{key}: {why}")

    def take(self, key: str, kind: type, default: object = None) -> Any:
        value = self.values.pop(key, default)
        if value is None and default is None:
            raise self.fail(key, "is missing")
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            found = f"a {type(value).__name__}" if key in SECRET else shown(value)
            raise self.fail(key, f"must be a {kind.__name__}, not {found}")
        return value

    def table(self, key: str) -> Table:
        return Table(f"{self.path}{key}.", self.take(key, dict, {}))

    def tables(self, key: str) -> list[Table]:
        found = self.take(key, list, [])
        if not all(isinstance(t, dict) for t in found):
            raise self.fail(key, f"must be written as [[{key}]] tables")
        return [Table(f"{self.path}{key}[{i}].", t) for i, t in enumerate(found)]

    def strings(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        found = self.take(key, list, list(default))
        if not all(isinstance(s, str) for s in found):
            raise self.fail(key, "must be a list of strings")
        return tuple(found)

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.take(key, str, allowed[0])
        if value not in allowed:
            raise self.fail(key, f"{shown(value)} is not one of {', '.join(allowed)}")
        return cast(str, value)

    def number(self, key: str, default: int, low: int, high: int) -> int:
        value = self.take(key, int, default)
        if not low <= value <= high:
            raise self.fail(key, f"{shown(value)} is not within {low} to {high}")
        return cast(int, value)

    def done(self) -> None:
        for key in self.values:
            raise self.fail(shown(key).strip("'"), "unknown key; see docs/settings.md for those that exist")


def url_problem(url: str, allowed: str = "https://HOST/path") -> str:
    """What is wrong with an https:// address, without quoting it; empty: nothing."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return f"is not a URL like {allowed}"
    plain = url.isascii() and url.isprintable() and not set(url) & set(" \"'\\<>`{}|^")
    if parts.scheme != "https" or not plain or not host or parts.username is not None or port == 0:
        return f"is not a URL like {allowed}"
    if not is_address(host) and not re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.?", host):
        return "has a host name that is none"
    return ""


def is_address(text: str) -> bool:
    try:
        return "%" not in text and bool(ip_address(text))  # a zone may hold anything, nft syntax too
    except ValueError:
        return False


def shown(value: object) -> str:
    """A value for an error text: quoted, escaped, cut."""
    try:
        text = ascii(value)
    except ValueError:  # an integer of thousands of digits
        text = "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."
