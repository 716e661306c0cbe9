"""The mark: one byte of the fwmark and of the conntrack mark names a flow's exit."""

from __future__ import annotations

# The top byte, because Tailscale (0xff0000), Docker and Kubernetes (0xc000), mwan3 (0x3f00) and most VPN scripts
# use lower ones. Slot 0 is "no exit yet". Transports get 1..LAST_SLOT; the rest are exits that are always there.

SLOT_SHIFT = 24
SLOT_MASK = 0xFF << SLOT_SHIFT
LAST_SLOT = 0x5F
SHARED_SLOTS = 16  # the last of them, in turn for the nodes of subscriptions, where there are any
UPSTREAM_SLOT = 0x70  # an engine's own packets to its server: in clear on the WAN, to listed destinations only
DIRECT_SLOT = 0x71  # the owner said: these flows go out as they are
DIAGNOSE_SLOT = 0x72  # the owner asked what the network does to a host: the box's own, in clear, for half a minute
OWN_SLOT = 0x73  # the box's own traffic that must go the household's way (the resolver)
# Of a packet, never of a flow. What goes out by a queue's exit waits for its worker, and nothing lets it pass; or the
# worker has seen it, or need not.
QUEUED_SLOT, DESYNCED_SLOT = 0x74, 0x75
TRIAL_MASK = 0xFF  # of a packet's mark: the number of the strategy that a search tries with it; 0: it tries nothing
TRIAL_PLAIN = 0xFF  # in there: a search tries it as it is
# The engine of slot N runs as this user plus N: its sockets are told from all others by it. Of a range that systemd's
# UIDS-GIDS.md lists as unused; nobody needs to be in /etc/passwd to run something.
ENGINES = 0x7C770000
OWN_FLOW = 0x80  # added to the slot in the conntrack mark of a flow that the box itself opened
FLOW_MASK = SLOT_MASK & ~(OWN_FLOW << SLOT_SHIFT)  # of a conntrack mark: its slot, whoever opened the flow


def mark(slot: int) -> int:
    """The fwmark of `slot`, to be written under SLOT_MASK."""
    return slot << SLOT_SHIFT
