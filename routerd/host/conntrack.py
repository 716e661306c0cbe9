"""Cuts flows: deletes the conntrack entries that carry an exit's mark, so that the next packet starts anew."""

from __future__ import annotations

from collections.abc import Iterable

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTSocket

from routerd.model import SLOT_MASK, mark


def cut(slots: Iterable[int]) -> None:
    """Deletes the entries of each slot, in the kernel, whatever their number. Both families."""
    with NFCTSocket() as conntrack:
        for slot in slots:
            try:
                conntrack.flush(mark=mark(slot), mark_mask=SLOT_MASK)
            except NetlinkError as e:
                if e.code != 2:  # ENOENT: there was none
                    raise
