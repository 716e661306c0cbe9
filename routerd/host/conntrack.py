"""Cuts flows: deletes the conntrack entries that carry an exit's mark, so that the next packet starts anew."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable

from routerd.host import nfnetlink
from routerd.model import FLOW_MASK, mark

_DELETE = (1 << 8) | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
_MARK, _MARK_MASK = 8, 21  # CTA_MARK, CTA_MARK_MASK


def cut(slots: Iterable[int]) -> None:
    """Deletes the entries of each slot, in the kernel, whatever their number. Both families. Raises OSError."""
    with nfnetlink.connect() as sock:
        for slot in slots:
            attributes = nfnetlink.attribute(_MARK, struct.pack(">I", mark(slot)))
            attributes += nfnetlink.attribute(_MARK_MASK, struct.pack(">I", FLOW_MASK))
            code = nfnetlink.ask(sock, nfnetlink.message(_DELETE, nfnetlink.REQUEST | nfnetlink.ACK, 0, 0, attributes))
            if code not in (0, errno.ENOENT):
                raise OSError(code, os.strerror(code))
