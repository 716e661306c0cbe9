"""Resets a process's TCP connections through sock_diag (SOCK_DESTROY), so that both their ends know at once.

A killed engine's sockets would be closed in silence or with a FIN that looks like a finished download; destroyed ones
send a reset, and the household's apps reconnect.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from pathlib import Path

_SOCK_DIAG, _BY_FAMILY, _DESTROY = 4, 20, 21  # linux/netlink.h, linux/sock_diag.h
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ALL_BUT_LISTEN = 0xFFF & ~(1 << 10) & ~(1 << 7) & ~(1 << 6)  # not LISTEN, CLOSE, TIME_WAIT


def reset(pid: int) -> int:
    """How many connections of `pid` were reset."""
    inodes = _sockets_of(pid)
    count = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as diag:
        diag.settimeout(1)
        for family in (socket.AF_INET, socket.AF_INET6):
            for identity in [found for inode, found in _connections(diag, family) if inode in inodes]:
                diag.send(_message(_DESTROY, _REQUEST | _ACK, family, identity))
                diag.recv(1 << 14)
                count += 1
    return count


def _sockets_of(pid: int) -> set[int]:
    found = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            if match := re.fullmatch(r"socket:\[(\d+)\]", _target(Path(entry.path))):
                found.add(int(match[1]))
    except (FileNotFoundError, ProcessLookupError):
        pass  # it is gone, and its sockets with it
    return found


def _target(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _connections(diag: socket.socket, family: int) -> list[tuple[int, bytes]]:
    """Inode and inet_diag_sockid (48 bytes) of each connection."""
    diag.send(_message(_BY_FAMILY, _REQUEST | _DUMP, family, b"\0" * 48))
    found: list[tuple[int, bytes]] = []
    while True:
        data = diag.recv(1 << 18)
        offset = 0
        while offset + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, offset)
            if kind != _BY_FAMILY:  # NLMSG_DONE or an error ends the dump
                return found
            found.append((struct.unpack_from("=I", data, offset + 16 + 68)[0], data[offset + 20 : offset + 68]))
            offset += (length + 3) & ~3


def _message(kind: int, flags: int, family: int, identity: bytes) -> bytes:
    body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, _ALL_BUT_LISTEN) + identity
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body
