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


@dataclass(frozen=True, slots=True)
class Status:
    version: str
    phase: Literal["open", "switching", "blocked", "offline", "closed"]
    mode: Literal["auto", "manual"]
    active: str | None
    since: str  # UTC, RFC 3339
    transports: tuple[TransportStatus, ...]
    problems: tuple[Problem, ...]
