"""Flows by the exit they are pinned to: lists them, and cuts them, so that the next packet starts anew."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable

from routerd.host import nfnetlink
from routerd.host.nudge import Flow
from routerd.model import FLOW_MASK, mark

_GET, _DELETE = (1 << 8) | 1, (1 << 8) | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_*
_ORIGINAL, _MARK, _MARK_MASK = 1, 8, 21  # CTA_TUPLE_ORIG, CTA_MARK, CTA_MARK_MASK
_IP, _PROTO = 1, 2  # CTA_TUPLE_*
_ENDS = ((1, 2), (3, 4))  # CTA_IP_V4_SRC and DST, CTA_IP_V6_SRC and DST
_NUMBER, _SPORT, _DPORT = 1, 2, 3  # CTA_PROTO_*


def cut(slots: Iterable[int]) -> None:
    """Deletes the entries of each slot, in the kernel, whatever their number. Both families. Raises OSError."""
    with nfnetlink.connect() as sock:
        for slot in slots:
            asked = nfnetlink.message(_DELETE, nfnetlink.REQUEST | nfnetlink.ACK, 0, 0, _pinned(slot))
            if (code := nfnetlink.ask(sock, asked)) not in (0, errno.ENOENT):
                raise OSError(code, os.strerror(code))


def tcp_flows(slots: Iterable[int]) -> list[Flow]:
    """The TCP flows of each slot. Raises OSError."""
    with nfnetlink.connect() as sock:
        entries = [entry for slot in slots for entry in nfnetlink.dump(sock, _GET, 0, _pinned(slot))]
    return [flow for entry in entries if _ORIGINAL in entry and (flow := _flow(entry[_ORIGINAL]))]


def _pinned(slot: int) -> bytes:
    wanted = nfnetlink.attribute(_MARK, struct.pack(">I", mark(slot)))
    return wanted + nfnetlink.attribute(_MARK_MASK, struct.pack(">I", FLOW_MASK))


def _flow(data: bytes) -> Flow | None:
    """None where it is not TCP."""
    both = nfnetlink.attributes(data)
    ip, proto = nfnetlink.attributes(both[_IP]), nfnetlink.attributes(both[_PROTO])
    if proto[_NUMBER] != bytes([socket.IPPROTO_TCP]):
        return None
    source, target = next((ip[a], ip[b]) for a, b in _ENDS if a in ip)
    family = socket.AF_INET if len(source) == 4 else socket.AF_INET6
    device, site = socket.inet_ntop(family, source), socket.inet_ntop(family, target)
    return device, int.from_bytes(proto[_SPORT]), site, int.from_bytes(proto[_DPORT])
