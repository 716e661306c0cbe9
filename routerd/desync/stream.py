"""scaffold"""

from __future__ import annotations


class Stream:
    def __init__(self, start: int) -> None:
        self.start = start
        self.parts: dict[int, bytes] = {}
        self.said = b""

    def add(self, seq: int, payload: bytes) -> bytes:
        self.parts.setdefault((seq - self.start) & 0xFFFFFFFF, payload)
        out = b""
        for o in sorted(self.parts):
            if o > len(out):
                break
            out += self.parts[o][len(out) - o :]
        self.said = out
        return out
