"""How a flow gets its exit and enters it: the rooms at the end of the policy's ways.

`choose` alone says where new flows go, so that a switch rewrites two rules. Whatever an exit cannot carry is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from routerd.model import (
    DIRECT_SLOT,
    ENGINES,
    OWN_FLOW,
    OWN_SLOT,
    UPSTREAM_SLOT,
    Direct,
    Launch,
    Link,
    Queue,
    Refuse,
    Tproxy,
)
from routerd.render.words import (
    ENTERED,
    chain,
    ct_is,
    hexadecimal,
    is_,
    rooms,
    rule,
    set_ct,
    set_mark,
    set_own_ct,
    slot_of,
)

Choice = int | Direct | Refuse
PORTS = "meta l4proto { tcp, udp }"


def chains(exits: Sequence[Launch], may_go_direct: bool) -> list[str]:
    return [
        chain("own_pinned", _own_pinned(exits)),
        chain("choose", []),
        chain("own_choose", []),
        *(chain(f"exit_{launch.slot}", _exit(launch.slot)) for launch in exits),
        *(chain(f"into_{launch.slot}", _into(launch)) for launch in exits),
        *(chain(f"own_{launch.slot}", _own_exit(launch.slot)) for launch in exits),
        chain("exit_direct", _exit_direct(may_go_direct)),
        chain("refuse", _refuse()),
    ]


def chosen(choice: Choice) -> dict[str, list[str]]:
    """The rules of the two chains that a switch rewrites."""
    return {"choose": _choose(choice), "own_choose": _own_choose(choice)}


def pinned(exits: Sequence[Launch]) -> dict[str, str]:
    """For `rooms`: where a packet goes whose mark, or whose flow's mark, names an exit."""
    return {hexadecimal(launch.slot): f"goto into_{launch.slot}" for launch in exits}


def _exit(slot: int) -> list[str]:
    """Takes a new flow for good."""
    return [
        rule(f"{ct_is(DIRECT_SLOT)} goto refuse", "was direct; may not go on in here"),
        rule(set_ct(slot), "for life"),
        rule(f"goto into_{slot}", "this exit"),
    ]


def _into(launch: Launch) -> list[str]:
    """Marks the packet, hands it to the engine or the link, and refuses what that cannot carry."""
    enter = [*_enter(launch.exit), rule("goto refuse", "what this exit does not carry")]
    return [rule(f'{set_mark(launch.slot)} counter name "{ENTERED}{launch.slot}"', "this exit"), *enter]


def _enter(way: Tproxy | Link | Queue) -> list[str]:
    match way:
        case Tproxy(port, udp, ipv6, quic):
            protos = "{ tcp, udp }" if udp else "tcp"
            # Without a listener tproxy does not match, and the packet goes on to `refuse`.
            take4 = rule(
                f"meta nfproto ipv4 meta l4proto {protos} tproxy ip to 127.0.0.1:{port} accept", "to the engine"
            )
            take6 = rule(f"meta nfproto ipv6 meta l4proto {protos} tproxy ip6 to [::1]:{port} accept", "to the engine")
            no_quic = rule("udp dport 443 goto refuse", "not carried: browsers fall back to TCP at once")
            return [*([] if quic else [no_quic]), take4, *([take6] if ipv6 else [])]
        case Link(ipv6=ipv6):
            return [rule("accept" if ipv6 else "meta nfproto ipv4 accept", "routed into the tunnel")]
        case Queue(udp=udp, ipv6=ipv6):
            no_udp = rule("meta l4proto udp goto refuse", "not carried")
            straight = rule("accept" if ipv6 else "meta nfproto ipv4 accept", "routed to the WAN")
            return [*([] if udp else [no_udp]), straight]


def _exit_direct(allowed: bool) -> list[str]:
    if not allowed:
        return [rule("goto refuse", "nothing goes direct")]
    return [
        rule(f"{slot_of('ct')} != {{ 0x0, {hexadecimal(DIRECT_SLOT)} }} goto refuse", "was not direct"),
        rule(set_mark(DIRECT_SLOT), "the owner said direct"),
        rule(set_ct(DIRECT_SLOT), "the owner said direct"),
        rule("accept", "routed to the WAN"),
    ]


def _refuse() -> list[str]:
    return [
        rule("meta l4proto tcp reject with tcp reset", "refused at once, so that apps do not hang"),
        rule("meta l4proto udp reject with icmpx type port-unreachable", "refused at once: QUIC falls back to TCP"),
        rule("reject with icmpx type admin-prohibited", "refused at once"),
        rule("drop", "refused"),
    ]


def own(wan: str, launches: Sequence[Launch]) -> list[str]:
    """Marks for the box's own packets. A look-up gets none: it is turned to the resolver, and must not leave."""
    return [
        rule(f"{is_(OWN_SLOT)} jump own_pinned", "the resolver goes the household's way"),
        *(
            rule(
                f'oifname "{wan}" {by_user(launch)} {PORTS} th dport != 53 {set_mark(UPSTREAM_SLOT)}',
                "its engine sets no mark",
            )
            for launch in launches
            if not launch.marks
        ),
    ]


def by_user(launch: Launch) -> str:
    """Of this transport's engine, or of what that has started."""
    return f"meta skuid {ENGINES + launch.slot}"


def _own_pinned(exits: Sequence[Launch]) -> list[str]:
    doors = {hexadecimal(OWN_FLOW | launch.slot): f"goto own_{launch.slot}" for launch in exits}
    return [*rooms(slot_of("ct"), doors, "one flow, one exit, for life"), rule("goto own_choose", "a new flow")]


def _own_exit(slot: int) -> list[str]:
    return [rule(set_mark(slot), "this exit"), rule(set_own_ct(slot), "for life"), rule("accept", "rerouted")]


def _choose(choice: Choice) -> list[str]:
    return [rule(to_exit(choice), "where new flows go")]


def _own_choose(choice: Choice) -> list[str]:
    # The resolver never goes direct: its DoH would show which resolver, and a name is never worth that.
    return [rule(f"goto own_{choice}", "where new flows go")] if isinstance(choice, int) else []


def to_exit(choice: Choice) -> str:
    match choice:
        case Direct():
            return "goto exit_direct"
        case Refuse():
            return "goto refuse"
        case slot:
            return f"goto exit_{slot}"
