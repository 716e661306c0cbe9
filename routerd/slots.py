"""Who has which slot. A transport of the file keeps its own as long as the file has it; nodes take turns. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from routerd.model import LAST_SLOT, SHARED_SLOTS, Down, State
from routerd.settings import Settings


def taken(settings: Settings, state: State) -> Mapping[str, int]:
    own = {name for name, entry in settings.transports.items() if not entry.group}
    last = LAST_SLOT - (SHARED_SLOTS if settings.subscriptions else 0)
    kept = {name: slot for name, slot in state.slots.items() if name in own and slot <= last}
    used = set(kept.values())
    free = (slot for slot in range(1, last + 1) if slot not in used)
    lasting = {name: kept[name] if name in kept else next(free) for name in settings.transports if name in own}
    return MappingProxyType(lasting | _shared(settings, state))


def _shared(settings: Settings, state: State) -> dict[str, int]:
    """A node that runs has one. The one that has not run for longest gives its own: its flows were cut long ago.

    In the order in which they ran last.
    """
    nodes = {name for name, entry in settings.transports.items() if entry.group}
    running = [n for n, h in state.health.items() if n in nodes and not isinstance(h, Down)]
    held = {n: s for n, s in state.slots.items() if n in nodes and s > LAST_SLOT - SHARED_SLOTS}
    slots = {n: s for n, s in held.items() if n not in running} | {n: held[n] for n in running if n in held}
    for name in running:
        if name not in slots:
            unused = set(shared_slots(settings)) - set(slots.values())
            slots[name] = min(unused) if unused else slots.pop(next(n for n in slots if n not in running))
    return slots


def shared_slots(settings: Settings) -> range:
    """Those that nodes take in turn."""
    return range(LAST_SLOT - SHARED_SLOTS + 1, LAST_SLOT + 1) if settings.subscriptions else range(0)
