"""The head of an HTTP request, said another way that means the same (RFC 9110, 5.1 and 5.5), in as many bytes. Pure."""

from __future__ import annotations

from routerd.desync.hello import Said
from routerd.desync.steps import HostCase, HostSpace, Strategy


def reworded(payload: bytes, found: Said | None, strategy: Strategy) -> bytes:
    if found is None or found.kind != "http" or found.start < 0:
        return payload
    at = found.extension
    if any(isinstance(step, HostCase) for step in strategy):
        payload = payload[:at] + b"hoSt" + payload[at + 4 :]
    if any(isinstance(step, HostSpace) for step in strategy):
        payload = _moved(payload, at + 5)
    return payload


def _moved(payload: bytes, at: int) -> bytes:
    """`Host: a` -> `Host:a `."""
    end = payload.find(b"\r\n", at)
    if payload[at : at + 1] != b" " or end < 0:
        return payload
    return payload[:at] + payload[at + 1 : end] + b" " + payload[end:]
