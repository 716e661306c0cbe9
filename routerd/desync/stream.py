"""A client's first bytes, put together out of segments in any order. Pure.

The first copy of a byte stays: what a client repeats is the same. Sequence numbers turn over at 2**32 (RFC 9293).
"""

from __future__ import annotations

from dataclasses import dataclass, field

LONGEST = 32768  # bytes, from the beginning
MOST = 64  # segments ahead of a gap


@dataclass(slots=True)
class Stream:
    """`start`: the sequence number of the first byte. `said`: all that is there without a gap."""

    start: int
    said: bytes = b""
    _ahead: dict[int, bytes] = field(default_factory=dict)

    def add(self, seq: int, payload: bytes) -> bytes:
        """What is there now without a gap. What lies before the beginning, or too far behind it, is not taken."""
        offset = (seq - self.start) & 0xFFFFFFFF
        if offset <= len(self.said):
            self.said = (self.said + payload[len(self.said) - offset :])[:LONGEST]
            if self._ahead:
                self._close()
        elif offset < LONGEST and len(self._ahead) < MOST:
            self._ahead.setdefault(offset, payload)
        return self.said

    def _close(self) -> None:
        for offset in sorted(self._ahead):
            if offset > len(self.said):
                return
            payload = self._ahead.pop(offset)
            self.said = (self.said + payload[len(self.said) - offset :])[:LONGEST]
