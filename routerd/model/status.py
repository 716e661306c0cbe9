"""Status: what a person should see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    code: str
    severity: Literal["info", "warning", "error"]
    title: str
    cure: str


@dataclass(frozen=True, slots=True)
class TransportStatus:
    """`subscription`: whose list it comes from. `builtin`: nobody wrote it down. Neither can be removed by itself."""

    name: str
    kind: str
    state: Literal["up", "suspect", "down", "starting", "disabled"]
    latency_ms: int | None
    warm: bool
    last_error: str | None
    bytes_up: int
    bytes_down: int
    udp: bool
    ipv6: bool
    subscription: str | None = None
    builtin: bool = False


@dataclass(frozen=True, slots=True)
class Differences:
    """Of the nodes of a list and of the next one, by name. A node is what it is: one with a new name is no news.

    `changed`: another node has the name now.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SubscriptionStatus:
    """`host` is all that is shown of the address: the rest is a password. Times are UTC, RFC 3339.

    Bytes are as the provider counts them. `waits`: nothing is up that it could be fetched through. `pending`: what
    waits for the owner's word. `failed`: nodes that did not carry their last probe.
    """

    name: str
    host: str
    title: str
    nodes: int
    up: int
    failed: int
    rejected: int
    used_bytes: int | None
    total_bytes: int | None
    expires: str | None
    updated: str | None
    last_error: str | None
    waits: bool
    expired: bool
    latest: Differences
    pending: Differences | None


@dataclass(frozen=True, slots=True)
class Status:
    version: str
    phase: Literal["open", "switching", "blocked", "offline", "closed"]
    mode: Literal["auto", "manual"]
    active: str | None
    since: str  # UTC, RFC 3339
    transports: tuple[TransportStatus, ...]
    problems: tuple[Problem, ...]
    subscriptions: tuple[SubscriptionStatus, ...] = ()
