"""The policy table as text: docs/security.md, translated. Loading it is host/nft.py's work.

Rewritten by each apply: its base chains are never deleted and end in `drop`, because a batch that deletes and recreates
them leaks while it commits (research/reliability.md, finding 2). Every value in here is typed; names of interfaces
passed `settings._ifname`.

Each packet of a download walks these rules, so the way of a flow that has its exit is short: one lookup by port, one by
the flow's slot. What judges a new flow stands behind that (household.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from routerd.model import (
    DESYNCED_SLOT,
    DIAGNOSE_SLOT,
    DIRECT_SLOT,
    QUEUED_SLOT,
    UPSTREAM_SLOT,
    Launch,
    Link,
    Upstream,
)
from routerd.render import desync, exits, household, own
from routerd.render.guard import Ports
from routerd.render.words import (
    BACK,
    ENTERED,
    FROM_NEIGHBOURS,
    LINKS,
    NAMES,
    NEIGHBOURS,
    OUT,
    RESETS,
    base,
    chain,
    ct_is,
    hexadecimal,
    is_,
    last,
    rooms,
    rule,
    set_mark,
    set_own_ct,
    slot_of,
)

POLICY = "clearway"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the ruleset should say now, but for where new flows go: `switch` says that."""

    ports: Ports
    launches: tuple[Launch, ...]
    may_go_direct: bool
    resolvers: tuple[Upstream, ...]  # asked straight from the box, while a server's name has no address
    diagnosing: bool = False
    devices: tuple[tuple[str, exits.Choice], ...] = ()
    direct_networks: tuple[str, ...] = ()
    names_port: int = 0  # where an engine's own look-ups are turned to


def closed() -> str:
    """The policy while there are no readable settings: nothing passes."""
    names = (("prerouting", -150), ("forward", 0), ("input", 0), ("output", 0))
    loops = {"prerouting": 'iifname "lo" accept', "input": 'iifname "lo" accept', "output": 'oifname "lo" accept'}
    chains = [
        base(name, "filter", name, priority, [rule(loops[name], "the box to itself")] if name in loops else [])
        for name, priority in names
    ]
    return _whole(chains)


def policy(p: Policy) -> str:
    """The policy table without its choice; followed by `switch`, one batch that may be loaded over itself at will."""
    launches = sorted(p.launches, key=lambda launch: launch.slot)
    plain = [launch for launch in launches if launch.via == UPSTREAM_SLOT]
    links = [(launch.slot, launch.exit) for launch in launches if isinstance(launch.exit, Link)]
    chains = [
        base("prerouting", "filter", "prerouting", -150, _ports("iifname", "from", p.ports, links)),
        base("forward", "filter", "forward", 0, _routed(p, links)),
        base("input", "filter", "input", 0, _ports("iifname", "for_box_from", p.ports, links)),
        base("output", "filter", "output", 0, _ports("oifname", "box_to", p.ports, links)),
        base("own", "route", "output", -150, exits.own(p.ports.wan, launches)),
        base("answer_dns", "nat", "prerouting", -100, household.answer_dns(p.ports)),
        base("own_names", "nat", "output", -100, own.names(p.launches, p.names_port)),
        base("straight", "filter", "postrouting", -155, desync.leaving(p.ports.wan, launches)),
        base("held", "filter", "postrouting", -140, desync.held()),
        base("translate", "nat", "postrouting", 100, _masquerade(p)),
        chain("from_lan", _from_lan(p)),
        chain("from_wan", [*_from_wan(p, launches), last()]),
        chain("from_lo", _from_lo(p)),
        *(chain(f"from_{slot}", [*_from_link(slot), last()]) for slot, _ in links),
        *(chain(f"through_{slot}", [*_through_link(p.ports, slot, link), last()]) for slot, link in links),
        *(chain(f"through_{slot}", [*_straight(p.ports, slot), last()]) for slot in desync.slots(launches)),
        *desync.rooms(launches),
        chain("straight_back", [*desync.to_household(p.ports.lan, p.ports.wan), last()]),
        *(chain(f"fit_{slot}", _fit(link)) for slot, link in links),
        chain("in_clear", [*_in_clear(p), last()]),
        chain("for_box_from_lan", [*household.for_box(p.ports, p.launches), last()]),
        chain("for_box_from_wan", [*_for_box_from_wan(p), last()]),
        chain("answered", own.answered(plain)),
        chain("for_box_from_lo", own.from_lo(own.inside_engines(launches))),
        *(chain(f"for_box_from_{slot}", [*own.from_link(slot, launches), last()]) for slot, _ in links),
        chain("box_to_lan", own.to_lan(launches)),
        chain("box_to_wan", [*_box_to_wan(p, plain), last()]),
        chain("box_to_lo", own.to_lo(own.inside_engines(launches))),
        *(chain(f"box_to_{slot}", [*own.to_link(slot, launches), last()]) for slot, _ in links),
        *exits.chains(launches, p.may_go_direct),
    ]
    counters = [f"{count}{launch.slot}" for launch in launches for count in (ENTERED, OUT, BACK, RESETS)]
    return _whole(chains, [NAMES, *counters])


def switch(choice: exits.Choice) -> str:
    """The part of `policy` that sends new flows to another exit, alone."""
    lines = []
    for name, rules in exits.chosen(choice).items():
        lines.append(f"flush chain inet {POLICY} {name}")
        lines += [f"add rule inet {POLICY} {name} {text}" for text in rules]
    return "\n".join(lines) + "\n"


# -- rooms of the policy, in the order a packet meets them --------------------------------------------------------


def _ports(key: str, prefix: str, ports: Ports, links: Sequence[tuple[int, Link]]) -> list[str]:
    """The room of each port of the box: `from_lan`, `box_to_wan`, ... A port that is not ours has none."""
    doors = {f'"{ports.lan}"': f"goto {prefix}_lan", f'"{ports.wan}"': f"goto {prefix}_wan"}
    doors['"lo"'] = f"goto {prefix}_lo"
    doors |= {f'"{link.ifname}"': f"goto {prefix}_{slot}" for slot, link in links}
    return rooms(key, doors, "each port has its room")


def _from_lo(p: Policy) -> list[str]:
    return [
        *rooms(slot_of("meta"), exits.pinned(p.launches), "the box's own into an exit"),
        rule("accept", "the box to itself"),
    ]


def _from_lan(p: Policy) -> list[str]:
    judged = household.arriving(p.ports, p.launches)
    return [*judged, *household.aside(p.devices, p.direct_networks), rule("goto choose", "a new flow")]


def _from_wan(p: Policy, launches: Sequence[Launch]) -> list[str]:
    direct = [
        rule(f"{ct_is(DIRECT_SLOT)} ct state established,related {set_mark(DIRECT_SLOT)} accept", "direct, answered")
    ]
    return [
        rule(f"{ct_is(UPSTREAM_SLOT)} accept", "answers to a transport"),
        *_answers_to_diagnosis(p),
        *desync.answers(launches),
        *(direct if p.may_go_direct else []),
        rule("udp sport 67 udp dport 68 accept", "DHCP"),
        rule(f"icmpv6 type {FROM_NEIGHBOURS} accept", "neighbours"),
    ]


def _from_link(slot: int) -> list[str]:
    return [rule(f"{ct_is(slot)} {set_mark(slot)} accept", "out of a tunnel")]


def _routed(p: Policy, links: Sequence[tuple[int, Link]]) -> list[str]:
    """By the mark that `prerouting` gave: LAN to WAN in clear has one room alone, and only where the owner said so.

    No `ct state` stands before it: an old flow must not outlive a change of mode.
    """
    doors = {hexadecimal(slot): f"goto through_{slot}" for slot, _ in links}
    straight = desync.slots(p.launches)
    doors |= {hexadecimal(slot): f"goto through_{slot}" for slot in straight}
    doors |= {hexadecimal(slot): "goto straight_back" for slot in (QUEUED_SLOT, DESYNCED_SLOT) if straight}
    doors |= {hexadecimal(DIRECT_SLOT): "goto in_clear"} if p.may_go_direct else {}
    return rooms(slot_of("meta"), doors, "where its mark leads")


def _in_clear(p: Policy) -> list[str]:
    lan, wan = f'"{p.ports.lan}"', f'"{p.ports.wan}"'
    return (
        [
            rule(f"iifname {lan} oifname {wan} accept", "the owner said direct"),
            rule(f"iifname {wan} oifname {lan} accept", "direct, answered"),
        ]
        if p.may_go_direct
        else []
    )


def _through_link(ports: Ports, slot: int, link: Link) -> list[str]:
    return [
        own.fitting(slot),
        rule(f'iifname "{ports.lan}" oifname "{link.ifname}" accept', "into the tunnel"),
        rule(
            f'iifname "{link.ifname}" oifname "{ports.lan}" ct state established,related accept',
            "back out of the tunnel",
        ),
    ]


def _straight(ports: Ports, slot: int) -> list[str]:
    return desync.from_household(slot, ports.lan, ports.wan)


def _fit(link: Link) -> list[str]:
    return [
        rule(f"meta nfproto ipv4 tcp option maxseg size set {link.mtu - 40}", "segments that fit the tunnel"),
        rule(f"meta nfproto ipv6 tcp option maxseg size set {link.mtu - 60}", "segments that fit the tunnel"),
    ]


def _for_box_from_wan(p: Policy) -> list[str]:
    return [
        rule(f"{ct_is(UPSTREAM_SLOT)} goto answered", "answers to a transport"),
        *_answers_to_diagnosis(p),
        *desync.for_box(p.launches),
        rule("udp sport 67 udp dport 68 accept", "DHCP"),
        rule(f"icmpv6 type {FROM_NEIGHBOURS} accept", "neighbours"),
    ]


def _box_to_wan(p: Policy, launches: Sequence[Launch]) -> list[str]:
    return [
        *own.to_servers([each for each in launches if each.bold]),
        own.narrow(is_(UPSTREAM_SLOT)),
        *own.to_servers([each for each in launches if not each.bold]),
        *own.look_ups(p.launches, p.names_port),
        *(own.upstream(upstream) for upstream in sorted(set(p.resolvers), key=str)),
        *_diagnosis(p),
        *desync.own(launches),
        rule("udp sport 68 udp dport 67 accept", "DHCP"),
        rule(f"icmpv6 type {NEIGHBOURS} accept", "neighbours"),
    ]


def _diagnosis(p: Policy) -> list[str]:
    select = f"meta l4proto {{ tcp, udp }} {is_(DIAGNOSE_SLOT)}"
    asked = rule(f"{select} {set_own_ct(DIAGNOSE_SLOT)} accept", "the owner asked what the network does")
    return [asked] if p.diagnosing else []


def _answers_to_diagnosis(p: Policy) -> list[str]:
    return [rule(f"{ct_is(DIAGNOSE_SLOT)} accept", "answers to a diagnosis")] if p.diagnosing else []


def _masquerade(p: Policy) -> list[str]:
    direct = rule(f'oifname "{p.ports.wan}" {is_(DIRECT_SLOT)} masquerade', "the owner said direct")
    straight = rule(f'oifname "{p.ports.wan}" {is_(DESYNCED_SLOT)} masquerade', "straight out")
    return [
        rule(f'oifname "{LINKS}" masquerade', "a tunnel knows one address"),
        *own.addressed(p.ports.wan, p.launches),
        *([direct] if p.may_go_direct else []),
        *([straight] if desync.slots(p.launches) else []),
    ]


def _whole(chains: Sequence[str], counters: Sequence[str] = ()) -> str:
    # `flush table` empties all chains and deletes none; what follows fills them, in the same transaction.
    named = "".join(f"  counter {name} {{\n  }}\n" for name in counters)
    body = named + "\n".join(chains)
    return f"add table inet {POLICY}\nflush table inet {POLICY}\ntable inet {POLICY} {{\n{body}\n}}\n"
