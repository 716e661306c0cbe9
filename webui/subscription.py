"""A subscription as the owner sees it: what the daemon says of one, and what that means in figures and names."""

import hashlib
import json
from dataclasses import dataclass

from webui.lenient import count, names, words

FIRST = 5  # names that are shown of a list of news
MOST_NODES, MOST_BYTES = 1 << 20, 1 << 63
UNITS = ("kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True, slots=True)
class News:
    """What is new in a list that waits for the owner's word: names of its nodes."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def rows(self) -> list[tuple[str, int, tuple[str, ...]]]:
        """(a key, how many, the first few names); rows without any are left out."""
        rows = (("added", self.added), ("removed", self.removed), ("changed", self.changed))
        return [(key, len(found), found[:FIRST]) for key, found in rows if found]

    @property
    def mark(self) -> str:
        """The owner's word is for what he saw, and not for what came since."""
        return hashlib.sha256(json.dumps((self.added, self.removed, self.changed)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Subscription:
    """None, or empty: not known. Times are as the daemon writes them (UTC, RFC 3339)."""

    name: str
    host: str = ""
    title: str = ""
    nodes: int = 0
    up: int = 0
    failed: int = 0
    rejected: int = 0
    used: int | None = None
    total: int | None = None
    expires: str = ""
    updated: str = ""
    error: str = ""
    waits: bool = False
    expired: bool = False
    pending: News | None = None

    @property
    def kept(self) -> int:
        """Nodes that neither run nor have failed: for later."""
        return max(0, self.nodes - self.up - self.failed)

    @property
    def spent(self) -> bool:
        return self.total is not None and (self.used or 0) >= self.total

    @property
    def used_told(self) -> str:
        return size(self.used or 0)

    @property
    def total_told(self) -> str:
        return size(self.total or 0)


def size(count: int) -> str:
    """In decimal units, as providers count."""
    amount, unit = count / 1000, 0
    while amount >= 999.5 and unit < len(UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    figures = f"{amount:.0f}" if amount >= 99.5 or amount == round(amount) else f"{amount:.1f}".removesuffix(".0")
    return f"{figures} {UNITS[unit]}"


def subscription(raw: dict[str, object]) -> Subscription:
    name = words(raw.get("name"))
    return Subscription(
        name=name,
        host=words(raw.get("host")),
        title=words(raw.get("title")),
        nodes=count(raw.get("nodes"), MOST_NODES) or 0,
        up=count(raw.get("up"), MOST_NODES) or 0,
        failed=count(raw.get("failed"), MOST_NODES) or 0,
        rejected=count(raw.get("rejected"), MOST_NODES) or 0,
        used=count(raw.get("used_bytes"), MOST_BYTES),
        total=count(raw.get("total_bytes"), MOST_BYTES),
        expires=words(raw.get("expires")),
        updated=words(raw.get("updated")),
        error=words(raw.get("last_error")),
        waits=raw.get("waits") is True,
        expired=raw.get("expired") is True,
        pending=_news(raw.get("pending"), f"{name}/"),
    )


def _news(raw: object, group: str) -> News | None:
    """The group stands before the name of each of its nodes, and says nothing here."""
    if not isinstance(raw, dict):
        return None
    added, removed, changed = (
        tuple(each.removeprefix(group) for each in names(raw.get(key))) for key in ("added", "removed", "changed")
    )
    return News(added, removed, changed)
