"""scaffold"""

from __future__ import annotations
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hello:
    name: str
    start: int
    end: int
    whole: bool
    size: int


@dataclass(frozen=True, slots=True)
class Request:
    host: str
    start: int
    end: int
    whole: bool


def hello(data: bytes) -> Hello | None:
    if data[:1] != b"\x16" or (len(data) > 1 and data[1] != 3):
        return None
    size = 5 + int.from_bytes(data[3:5]) if len(data) >= 5 else 1 << 14
    at = data.find(b"\0\0")
    name, s = "", -1
    i = 43
    try:
        i += 1 + data[i]
        i += 2 + int.from_bytes(data[i : i + 2])
        i += 1 + data[i]
        end = i + 2 + int.from_bytes(data[i : i + 2])
        i += 2
        while i + 4 <= len(data):
            k, l = int.from_bytes(data[i : i + 2]), int.from_bytes(data[i + 2 : i + 4])
            if k == 0:
                n = int.from_bytes(data[i + 7 : i + 9])
                if i + 9 + n <= len(data):
                    s, name = i + 9, data[i + 9 : i + 9 + n].decode("ascii", "replace").lower()
            i += 4 + l
    except IndexError:
        pass
    return Hello(name, s, s + len(name), len(data) >= size, size)


def request(data: bytes) -> Request | None:
    if not data[:4] in (b"GET ", b"POST", b"HEAD"):
        return None
    i = data.lower().find(b"\r\nhost:")
    e = data.find(b"\r\n", i + 2)
    if i < 0 or e < 0:
        return Request("", -1, -1, b"\r\n\r\n" in data)
    h = data[i + 7 : e].strip().decode()
    return Request(h.lower(), i + 8, e, b"\r\n\r\n" in data)
