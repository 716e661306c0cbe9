"""sock_diag: resets an engine's TCP connections (SOCK_DESTROY), and sees whether it takes new ones.

A killed engine's sockets would be closed in silence or with a FIN that looks like a finished download; destroyed ones
send a reset, and the household's apps reconnect. An engine is known by the user id that it alone runs as.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Collection, Iterator
from pathlib import Path

from routerd.host import nfnetlink

_SOCK_DIAG, _BY_FAMILY, _DESTROY = 4, 20, 21  # linux/netlink.h, linux/sock_diag.h
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ESTABLISHED, _LISTEN = 1 << 1, 1 << 10
_INFO, _RECEIVED = 2, 128  # INET_DIAG_INFO; where tcp_info (linux/tcp.h) has tcpi_bytes_received
_ALL_BUT_LISTEN = 0xFFF & ~_LISTEN & ~(1 << 7) & ~(1 << 6)  # nor CLOSE, TIME_WAIT
_DIAG = struct.Struct("=BBBB48sIIIII")  # inet_diag_msg, linux/inet_diag.h
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def connect() -> socket.socket:
    found = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)
    found.settimeout(1)
    return found


def reset(pid: int, uid: int) -> int:
    """How many connections were reset: those of user `uid`; for root's, who has others too, those of process `pid`."""
    inodes = set() if uid else _sockets_of(pid)
    count = 0
    with connect() as diag:
        for family in _FAMILIES:
            found = list(_dump(diag, family, _ALL_BUT_LISTEN))
            for identity in [i for i, owner, inode, *_ in found if (owner == uid if uid else inode in inodes)]:
                diag.send(_message(_DESTROY, _REQUEST | _ACK, family, _ALL_BUT_LISTEN, identity))
                diag.recv(1 << 14)
                count += 1
    return count


def backlogs(diag: socket.socket) -> dict[int, int]:
    """Port -> connections that its listener has not taken yet. A sound engine takes them within a moment."""
    found: dict[int, int] = {}
    for family in _FAMILIES:
        for identity, _, _, waiting, _ in _dump(diag, family, _LISTEN):
            port = int.from_bytes(identity[:2])
            found[port] = found.get(port, 0) + waiting
    return found


def received(diag: socket.socket, servers: Collection[tuple[str, int]]) -> list[tuple[int, int]]:
    """Cookie, and bytes received in all, of each established connection to one of `servers` (address, port).

    The kernel walks the table of all its connections for it, which takes milliseconds: no family is asked in vain.
    """
    found = []
    for family in {socket.AF_INET6 if ":" in address else socket.AF_INET for address, _ in servers}:
        size = 4 if family == socket.AF_INET else 16
        for identity, _, _, _, info in _dump(diag, family, _ESTABLISHED, _INFO):
            port, address = int.from_bytes(identity[2:4]), socket.inet_ntop(family, identity[20 : 20 + size])
            if len(info) >= _RECEIVED + 8 and (address, port) in servers:
                cookie = struct.unpack_from("=Q", identity, 40)[0]
                found.append((cookie, struct.unpack_from("=Q", info, _RECEIVED)[0]))
    return found


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


def _dump(diag: socket.socket, family: int, states: int, more: int = 0) -> Iterator[tuple[bytes, int, int, int, bytes]]:
    """Of each TCP socket: inet_diag_sockid, user id, inode, receive queue (a listener's accept queue), tcp_info."""
    diag.send(_message(_BY_FAMILY, _REQUEST | _DUMP, family, states, b"\0" * 48, more))
    while True:
        data = diag.recv(1 << 18)
        offset = 0
        while offset + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, offset)
            if kind != _BY_FAMILY:  # NLMSG_DONE or an error ends the dump
                return
            *_, identity, _, queue, _, uid, inode = _DIAG.unpack_from(data, offset + 16)
            yield identity, uid, inode, queue, _info(data[offset + 16 + _DIAG.size : offset + length]) if more else b""
            offset += (length + 3) & ~3


def _info(attributes: bytes) -> bytes:
    return nfnetlink.attributes(attributes).get(_INFO, b"")


def _message(kind: int, flags: int, family: int, states: int, identity: bytes, more: int = 0) -> bytes:
    body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 1 << (more - 1) if more else 0, 0, states) + identity
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body
