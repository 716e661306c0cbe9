"""Words of nftables' language that more than one table uses. Text only; loading it is host/nft.py's work."""

from __future__ import annotations

from collections.abc import Sequence

from routerd.model import FLOW_MASK, OWN_FLOW, SLOT_MASK, mark

# Counters of slot N are called entered_N, ...: host/traffic.py reads them.
ENTERED = "entered_"  # the household's packets into the exit
NAMES = "names"  # the household's questions for names
OUT, BACK, RESETS = "out_", "back_", "resets_"  # the transport's own packets to its server, from it, and its resets

LINKS = "cw-*"  # every link exit's interface is called cw-SLOT

NEIGHBOURS = "{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report }"
FROM_NEIGHBOURS = "{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query }"


def hexadecimal(slot: int) -> str:
    return f"0x{mark(slot):08x}"


def slot_of(what: str) -> str:
    """`what` is `meta` or `ct`: the slot that its mark carries, as an expression."""
    return f"{what} mark and 0x{SLOT_MASK:08x}"


def is_(slot: int) -> str:
    """The packet's mark says this slot."""
    return f"{slot_of('meta')} == {hexadecimal(slot)}"


def one_of(*slots: int) -> str:
    """The packet's mark says one of these."""
    return f"{slot_of('meta')} {{ {', '.join(hexadecimal(slot) for slot in slots)} }}"


def ct_is(slot: int) -> str:
    """The flow is pinned to this slot, whoever opened it."""
    return f"ct mark and 0x{FLOW_MASK:08x} == {hexadecimal(slot)}"


def set_mark(slot: int) -> str:
    return f"meta mark set meta mark and {_rest()} or {hexadecimal(slot)}"


def set_ct(slot: int) -> str:
    return f"ct mark set ct mark and {_rest()} or {hexadecimal(slot)}"


def set_own_ct(slot: int) -> str:
    """As `set_ct`, for a flow that the box itself opened: no packet from the LAN may pass for a part of it."""
    return set_ct(OWN_FLOW | slot)


def _rest() -> str:
    return f"0x{~SLOT_MASK & 0xFFFFFFFF:08x}"


def rule(text: str, why: str) -> str:
    return f'{text} comment "clearway: {why}"'


def rooms(key: str, doors: dict[str, str], why: str) -> list[str]:
    """One lookup that leads each packet to its room, whatever their number: every packet pays for the way there."""
    pairs = ", ".join(f"{value} : {verdict}" for value, verdict in doors.items())
    return [rule(f"{key} vmap {{ {pairs} }}", why)] if pairs else []


def last() -> str:
    """Ends a filter's chain: a base chain's policy alone would let packets pass while a first load commits."""
    return rule("drop", "whatever is not listed")


def base(name: str, kind: str, hook: str, priority: int, rules: Sequence[str]) -> str:
    """A base chain. Filters end in an explicit drop; chains that only translate or reroute let the rest be."""
    end, default = ([last()], "drop") if kind == "filter" else ([], "accept")
    return chain(name, [f"type {kind} hook {hook} priority {priority}; policy {default};", *rules, *end])


def chain(name: str, rules: Sequence[str]) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {text}\n" for text in rules) + "  }"
