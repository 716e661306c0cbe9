"""Lists of nodes that somebody else writes: what of an answer is taken, what it is called, and what is new in it.

Pure. A node is what its link says; its name is for people. Nothing but transports comes out of a list: no address of
the home, no rule, no setting.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from types import MappingProxyType

from routerd.links import Named, notes, wall
from routerd.links.bulk import DUPLICATE, outcomes
from routerd.model import Differences
from routerd.settings import Entry, Settings
from routerd.transports import Transport

MOST_NODES = 500
LONGEST = 5 << 20  # characters of a list
FAR, LONG = 1 << 62, 24 * 366  # of bytes, and of hours
HERE = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
        ),
    )
)
NOBODY = ip_network("224.0.0.0/3")  # multicast, reserved, broadcast
OUTSIDE6 = ip_network("2000::/3")
WRAPPED = tuple(map(ip_network, ("2001::/32", "2002::/16")))  # Teredo and 6to4 hold an IPv4 address
INSIDE = ("localhost", "local", "lan", "home", "internal", "intranet", "private", "arpa", "onion", "test", "invalid")

Nodes = Mapping[str, Transport]


class Refusal(ValueError):
    """Why an answer is not taken, in one sentence; it quotes nothing."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list holds: each node once, and 500 at most.

    `rejected`: entries that could not be read, that point into a home, or that encrypt nothing.
    """

    nodes: tuple[Named, ...]
    rejected: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What the provider says of the account. Bytes, Unix time, hours."""

    title: str = ""
    used: int | None = None
    total: int | None = None
    expires: int | None = None
    hours: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """The last good list of a subscription, and what came with it. `pending`: a newer one, until the owner has seen it.

    `source`: a hash of the address that `etag` and `modified` belong to. `at`: Unix time of the last good answer.
    """

    text: str = field(default="", repr=False)
    pending: str = field(default="", repr=False)
    source: str = ""
    etag: str = ""
    modified: str = ""
    at: float = 0.0
    facts: Facts = Facts()


# -- what is taken ------------------------------------------------------------------------------------------------


def read(text: str) -> Listed:
    """Raises Refusal where there is no node: an error page, an empty or broken answer never replaces a list."""
    if len(text) > LONGEST:
        raise Refusal(f"The list is longer than {LONGEST >> 20} MB.")
    if re.match(r"\s*<(!doctype|html|head|body|\?xml)", text, re.IGNORECASE):
        raise Refusal("A web page came in place of a list.")
    nodes: list[Named] = []
    rejected = 0
    for found in outcomes(text):
        if isinstance(found, Named) and _is_fit(found.transport):
            nodes.append(found)
        elif isinstance(found, Named) or found.reason not in (DUPLICATE, notes.REASON):
            rejected += 1
        if len(nodes) == MOST_NODES:
            break
    if not nodes:
        raise Refusal("There is no node in it that can be used.")
    return Listed(tuple(nodes), rejected)


def _is_fit(node: Transport) -> bool:
    """On the Internet; and not readable by everyone on the line, which nobody but the owner may decide."""
    return is_outside(node.server) and node.carries.hidden


def is_outside(host: str) -> bool:
    """An address of the Internet, or a name that can have one: no list may point into a home."""
    try:
        return is_public(ip_address(host))
    except ValueError:
        *_, last = labels = host.lower().rstrip(".").split(".")
        # A last label of digits is an IPv4 address in one of its other spellings (inet_aton).
        return len(labels) > 1 and last not in INSIDE and not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """By itself: documentation ranges count, which Python's `is_global` leaves out."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in (*HERE, NOBODY))
    return address in OUTSIDE6 and not any(address in network for network in WRAPPED)


def facts(headers: Mapping[str, str]) -> Facts:
    """`headers` in lower case. What is not a number in its place is left out."""
    pairs = (part.partition("=") for part in headers.get("subscription-userinfo", "").split(";"))
    info = {key.strip().lower(): value.strip() for key, _, value in pairs}
    sent = [_number(info.get(key, ""), FAR) for key in ("upload", "download")]
    used = sum(part or 0 for part in sent) if any(part is not None for part in sent) else None
    return Facts(
        title=_title(headers.get("profile-title", "")),
        used=used,
        total=_number(info.get("total", ""), FAR) or None,  # 0: without limit
        expires=_number(info.get("expire", ""), 1 << 40) or None,
        hours=_number(headers.get("profile-update-interval", ""), LONG) or None,
    )


def _number(text: str, most: int) -> int | None:
    match = re.fullmatch(r"([0-9]{1,19})(\.[0-9]*)?", text.strip(), re.ASCII)
    return min(int(match[1]), most) if match else None


def _title(text: str) -> str:
    if text.startswith("base64:"):
        try:
            text = wall.base64(text.removeprefix("base64:").strip(), "title").decode(errors="replace")
        except wall.LinkError:
            return ""
    return wall.name(text)


# -- what it is called, and what is new ---------------------------------------------------------------------------


def named(group: str, nodes: Collection[Named], before: Nodes, taken: Collection[str] = ()) -> dict[str, Transport]:
    """`GROUP/NAME`: a node keeps the name that it had `before`, and what is known of it stays known by that."""
    old = {transport: name for name, transport in before.items()}
    used = {*taken, *(old[node.transport] for node in nodes if node.transport in old)}
    found: dict[str, Transport] = {}
    for node in nodes:
        name = old.get(node.transport) or _free(f"{group}/{node.name}", used)
        used.add(name)
        found[name] = node.transport
    return found


def _free(name: str, used: Collection[str]) -> str:
    name = name[:64].strip()
    tries = (name, *(f"{name[:58].strip()} {number}" for number in range(2, 10000)))
    return next(one for one in tries if one not in used)


def differences(before: Nodes, after: Nodes) -> Differences:
    gone, come = [n for n in before if n not in after], [n for n in after if n not in before]
    return Differences(tuple(come), tuple(gone), tuple(n for n in after if n in before and before[n] != after[n]))


def merged(settings: Settings, lists: Mapping[str, Nodes]) -> Settings:
    """The settings with the nodes of each subscription behind its transports; before those that everybody has.

    Those of one server do not stand together: what is wrong with the first is likely wrong with the next.
    """
    found: dict[str, Entry] = {}
    for group, subscription in settings.subscriptions.items():
        nodes = [Entry(name, node, subscription.enabled, group=group) for name, node in lists.get(group, {}).items()]
        found |= {entry.name: entry for entry in _mixed(nodes) if entry.name not in settings.transports}
    own = settings.transports
    return replace(settings, transports=MappingProxyType({**found, **own} if settings.own_ladder else {**own, **found}))


def _mixed(nodes: list[Entry]) -> list[Entry]:
    count: Counter[str] = Counter()
    turns = []
    for entry in nodes:
        turns.append(count[entry.transport.server])
        count[entry.transport.server] += 1
    return [nodes[i] for i in sorted(range(len(nodes)), key=lambda i: turns[i])]


def changed(before: Settings | None, after: Settings) -> frozenset[str]:
    """The names that belong to another transport now."""
    old = before.transports if before else {}
    return frozenset(n for n, e in after.transports.items() if n in old and old[n].transport != e.transport)
