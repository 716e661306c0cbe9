"""The ruleset as text: docs/security.md, translated. Loading it is host/nft.py's work.

Two tables, each sufficient alone. `guard` is static: what comes from the LAN does not go out of the WAN port unless it
carries the mark of a direct exit. `policy` is rewritten by each apply: its base chains are never deleted and end in
`drop`, because a batch that deletes and recreates them leaks while it commits (research/reliability.md, finding 2).
Every value in these texts is typed; names of interfaces passed `settings._ifname`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from routerd.model import (
    DIRECT_SLOT,
    OWN_SLOT,
    SLOT_MASK,
    UPSTREAM_SLOT,
    Direct,
    Launch,
    Link,
    Refuse,
    Tproxy,
    Upstream,
    mark,
)

GUARD = "clearway_guard"
POLICY = "clearway"
LINKS = "cw-*"  # every link exit's interface is called cw-SLOT

NEIGHBOURS = "{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report }"
FROM_NEIGHBOURS = "{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query }"
NOT_OUTSIDE4 = "{ 0.0.0.0/8, 10.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, 224.0.0.0/3 }"
NOT_OUTSIDE6 = "{ ::/127, fc00::/7, fe80::/10, ff00::/8 }"


@dataclass(frozen=True, slots=True)
class Ports:
    """The box's two sides, as the rules need them."""

    lan: str
    wan: str
    address: IPv4Interface
    address6: IPv6Interface | None
    web_port: int


@dataclass(frozen=True, slots=True)
class Policy:
    """What the ruleset should say now, but for where new flows go: `switch` says that."""

    ports: Ports
    exits: tuple[Launch, ...]
    may_go_direct: bool
    upstreams: tuple[Upstream, ...]
    devices: tuple[tuple[str, int | Direct | Refuse], ...] = ()
    direct_networks: tuple[str, ...] = ()


def guard(ports: Ports | None) -> str:
    """The static layer. Without readable settings (None) nothing at all is let through."""
    forward, output, incoming, leaving = [], [], [], []
    if ports:
        lan, wan = f'"{ports.lan}"', f'"{ports.wan}"'
        forward = [
            _rule(f'iifname {lan} oifname "{LINKS}" accept', "into a tunnel"),
            _rule(f'iifname "{LINKS}" oifname {lan} ct state established,related accept', "back out of a tunnel"),
            _rule(f"iifname {lan} oifname {wan} {_is(DIRECT_SLOT)} accept", "the owner said direct"),
            _rule(
                f"iifname {wan} oifname {lan} {_ct_is(DIRECT_SLOT)} ct state established,related accept", "its answers"
            ),
        ]
        output = [
            _rule(f'oifname {{ {lan}, "{LINKS}" }} accept', "to the household, into a tunnel"),
            _rule(f"oifname {wan} {_is(UPSTREAM_SLOT)} accept", "a transport's own packets"),
            _rule(f"oifname {wan} udp sport 68 udp dport 67 accept", "DHCP"),
            _rule(f"oifname {wan} icmpv6 type {NEIGHBOURS} accept", "neighbours"),
        ]
        # In `output` oifname is still `lo` for what `own` rerouted; only here is it the port that the packet takes.
        leaving = [
            _rule(f"oifname != {wan} accept", "not to the WAN"),
            _rule(f"oifname {wan} {_is(DIRECT_SLOT)} accept", "the owner said direct"),
            *output[1:],
        ]
        incoming = [
            _rule(f'iifname {{ {lan}, "{LINKS}" }} accept', "policy says which"),
            _rule(f"iifname {wan} {_ct_is(UPSTREAM_SLOT)} accept", "answers to a transport"),
            _rule(f"iifname {wan} udp sport 67 udp dport 68 accept", "DHCP"),
            _rule(f"iifname {wan} icmpv6 type {FROM_NEIGHBOURS} accept", "neighbours"),
        ]
    loop_out, loop_in = (
        _rule('oifname "lo" accept', "the box to itself"),
        _rule('iifname "lo" accept', "the box to itself"),
    )
    chains = [
        _base("forward", "filter", "forward", 10, forward),
        _base("output", "filter", "output", 10, [loop_out, *output]),
        _base("input", "filter", "input", 10, [loop_in, *incoming]),
        _base("leaving", "filter", "postrouting", 10, [loop_out, *leaving]),
    ]
    return f"table inet {GUARD} {{\n" + "\n".join(chains) + "\n}\n"


def closed() -> str:
    """The policy while there are no readable settings: nothing passes."""
    names = (("prerouting", -150), ("forward", 0), ("input", 0), ("output", 0))
    loops = {"prerouting": 'iifname "lo" accept', "input": 'iifname "lo" accept', "output": 'oifname "lo" accept'}
    chains = [
        _base(name, "filter", name, priority, [_rule(loops[name], "the box to itself")] if name in loops else [])
        for name, priority in names
    ]
    return _whole(chains)


def policy(p: Policy) -> str:
    """The policy table without its choice; followed by `switch`, one batch that may be loaded over itself at will."""
    exits = sorted(p.exits, key=lambda launch: launch.slot)
    chains = [
        _base("prerouting", "filter", "prerouting", -150, [_rule("jump ingress", "what comes in")]),
        _base("forward", "filter", "forward", 0, [_rule("jump routed", "what is routed")]),
        _base("input", "filter", "input", 0, [_rule("jump local_in", "what is for the box")]),
        _base("output", "filter", "output", 0, [_rule("jump local_out", "what the box sends")]),
        _base(
            "own",
            "route",
            "output",
            -150,
            [_rule(f"{_is(OWN_SLOT)} jump own_pinned", "the resolver goes the household's way")],
        ),
        _base("answer_dns", "nat", "prerouting", -100, _answer_dns(p.ports)),
        _base("translate", "nat", "postrouting", 100, _masquerade(p)),
        _chain("ingress", _ingress(p.ports, exits)),
        _chain("from_lan", _from_lan(p)),
        _chain("from_wan", _from_wan(p)),
        _chain("routed", _routed(p, exits)),
        _chain("local_in", _local_in(p, exits)),
        _chain("local_out", _local_out(p, exits)),
        _chain("own_pinned", _own_pinned(exits)),
        _chain("choose", []),
        _chain("own_choose", []),
        *(_chain(f"exit_{launch.slot}", _exit(launch)) for launch in exits),
        *(_chain(f"own_{launch.slot}", _own_exit(launch.slot)) for launch in exits),
        _chain("exit_direct", _exit_direct(p.may_go_direct)),
        _chain("refuse", _refuse()),
    ]
    return _whole(chains)


def switch(choice: int | Direct | Refuse) -> str:
    """The part of `policy` that sends new flows to another exit, alone."""
    lines = []
    for chain, rules in (("choose", _choose(choice)), ("own_choose", _own_choose(choice))):
        lines.append(f"flush chain inet {POLICY} {chain}")
        lines += [f"add rule inet {POLICY} {chain} {rule}" for rule in rules]
    return "\n".join(lines) + "\n"


# -- rooms of the policy, in the order a packet meets them --------------------------------------------------------


def _ingress(ports: Ports, exits: Sequence[Launch]) -> list[str]:
    return [
        *(
            _rule(f'iifname "lo" {_is(launch.slot)} goto exit_{launch.slot}', f"the box's own into exit {launch.slot}")
            for launch in exits
        ),
        _rule('iifname "lo" accept', "the box to itself"),
        _rule(f'iifname "{ports.lan}" goto from_lan', "from the household"),
        _rule(f'iifname "{ports.wan}" goto from_wan', "from outside"),
        *(
            _rule(f'iifname "{e.ifname}" {_ct_is(launch.slot)} {_set_mark(launch.slot)} accept', "out of a tunnel")
            for launch in exits
            if isinstance(e := launch.exit, Link)
        ),
    ]


def _from_lan(p: Policy) -> list[str]:
    ports = p.ports
    lan6 = f"{{ {ports.address6.network}, fe80::/10, :: }}" if ports.address6 else "{ fe80::/10, :: }"
    own = f"ip daddr {ports.address.ip} accept"
    own6 = (
        f"ip6 daddr {{ {ports.address6.ip}, fe80::/10, ff02::/16 }} accept"
        if ports.address6
        else ("ip6 daddr { fe80::/10, ff02::/16 } accept")
    )
    return [
        _rule(f"ip saddr {ports.address.ip} drop", "nobody else is the box"),
        *([_rule(f"ip6 saddr {ports.address6.ip} drop", "nobody else is the box")] if ports.address6 else []),
        _rule("ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept", "DHCP"),
        _rule(f"ip saddr != {ports.address.network} drop", "spoofed source"),
        _rule(f"ip6 saddr != {lan6} drop", "spoofed source"),
        _rule("meta l4proto { tcp, udp } th dport 53 accept", "answered by the box, whatever the address"),
        _rule(own, "for the box"),
        _rule(own6, "for the box"),
        _rule("fib daddr type local drop", "an address of the box that is not the household's"),
        _rule("fib daddr type { broadcast, multicast } accept", "for the box, if for anyone"),
        _rule(f"ip daddr {NOT_OUTSIDE4} goto refuse", "not outside"),
        _rule(f"ip6 daddr {NOT_OUTSIDE6} goto refuse", "not outside"),
        *_pinned(p.exits, "exit"),
        _rule(f"ct mark and {_mask()} != {{ 0x0, {_hex(DIRECT_SLOT)} }} goto refuse", "its exit is gone"),
        *(_rule(f"ether saddr {mac} {_to_exit(choice)}", "a device of its own policy") for mac, choice in p.devices),
        *(
            _rule(f"ip{'6' if ':' in network else ''} daddr {network} goto exit_direct", "a direct network")
            for network in p.direct_networks
        ),
        _rule("goto choose", "a new flow"),
    ]


def _from_wan(p: Policy) -> list[str]:
    direct = [
        _rule(f"{_ct_is(DIRECT_SLOT)} ct state established,related {_set_mark(DIRECT_SLOT)} accept", "direct, answered")
    ]
    return [
        _rule(f"{_ct_is(UPSTREAM_SLOT)} {_set_mark(UPSTREAM_SLOT)} accept", "answers to a transport"),
        *(direct if p.may_go_direct else []),
        _rule("udp sport 67 udp dport 68 accept", "DHCP"),
        _rule(f"icmpv6 type {FROM_NEIGHBOURS} accept", "neighbours"),
    ]


def _exit(launch: Launch) -> list[str]:
    """Takes the packet for good: marks it, hands it to the engine or the link, and refuses what that cannot carry."""
    cut = _rule(f"{_ct_is(DIRECT_SLOT)} goto refuse", "was direct; may not go on in here")
    pin = [_rule(_set_mark(launch.slot), "this exit"), _rule(_set_ct(launch.slot), "for life")]
    return [cut, *pin, *_enter(launch.exit), _rule("goto refuse", "what this exit does not carry")]


def _enter(way: Tproxy | Link) -> list[str]:
    match way:
        case Tproxy(port, udp, ipv6, quic):
            protos = "{ tcp, udp }" if udp else "tcp"
            # Without a listener tproxy does not match, and the packet goes on to `refuse`.
            take4 = _rule(
                f"meta nfproto ipv4 meta l4proto {protos} tproxy ip to 127.0.0.1:{port} accept", "to the engine"
            )
            take6 = _rule(f"meta nfproto ipv6 meta l4proto {protos} tproxy ip6 to [::1]:{port} accept", "to the engine")
            no_quic = _rule("udp dport 443 goto refuse", "not carried: browsers fall back to TCP at once")
            return [*([] if quic else [no_quic]), take4, *([take6] if ipv6 else [])]
        case Link(ipv6=ipv6):
            return [_rule("accept" if ipv6 else "meta nfproto ipv4 accept", "routed into the tunnel")]


def _exit_direct(allowed: bool) -> list[str]:
    if not allowed:
        return [_rule("goto refuse", "nothing goes direct")]
    return [
        _rule(f"ct mark and {_mask()} != {{ 0x0, {_hex(DIRECT_SLOT)} }} goto refuse", "was not direct"),
        _rule(_set_mark(DIRECT_SLOT), "the owner said direct"),
        _rule(_set_ct(DIRECT_SLOT), "the owner said direct"),
        _rule("accept", "routed to the WAN"),
    ]


def _refuse() -> list[str]:
    return [
        _rule("meta l4proto tcp reject with tcp reset", "refused at once, so that apps do not hang"),
        _rule("meta l4proto udp reject with icmpx type port-unreachable", "refused at once: QUIC falls back to TCP"),
        _rule("reject with icmpx type admin-prohibited", "refused at once"),
        _rule("drop", "refused"),
    ]


def _routed(p: Policy, exits: Sequence[Launch]) -> list[str]:
    lan, wan = f'"{p.ports.lan}"', f'"{p.ports.wan}"'
    # This drop stands before any `ct state`: an old flow must not outlive a change of mode.
    rules = [
        _rule(f"iifname {lan} oifname {wan} meta mark and {_mask()} != {_hex(DIRECT_SLOT)} drop", "never in clear")
    ]
    for launch in exits:
        if isinstance(launch.exit, Link):
            rules += _through_link(lan, launch.slot, launch.exit)
    if p.may_go_direct:
        rules += [
            _rule(f"iifname {lan} oifname {wan} {_is(DIRECT_SLOT)} accept", "the owner said direct"),
            _rule(f"iifname {wan} oifname {lan} {_is(DIRECT_SLOT)} accept", "direct, answered"),
        ]
    return rules


def _through_link(lan: str, slot: int, link: Link) -> list[str]:
    syn = "tcp flags syn / syn,rst tcp option maxseg size set"
    into, back = f'iifname {lan} oifname "{link.ifname}"', f'iifname "{link.ifname}" oifname {lan}'
    return [
        _rule(f"{into} {syn} rt mtu", "segments that fit the tunnel"),
        _rule(f"{back} meta nfproto ipv4 {syn} {link.mtu - 40}", "segments that fit the tunnel"),
        _rule(f"{back} meta nfproto ipv6 {syn} {link.mtu - 60}", "segments that fit the tunnel"),
        _rule(f"{into} {_is(slot)} accept", "into the tunnel"),
        _rule(f"{back} {_ct_is(slot)} ct state established,related accept", "back out of the tunnel"),
    ]


def _local_in(p: Policy, exits: Sequence[Launch]) -> list[str]:
    lan, wan = f'iifname "{p.ports.lan}"', f'iifname "{p.ports.wan}"'
    taken = ", ".join(_hex(launch.slot) for launch in exits if isinstance(launch.exit, Tproxy))
    engines = [_rule(f"{lan} meta mark and {_mask()} {{ {taken} }} accept", "taken by an engine")] if taken else []
    return [
        _rule('iifname "lo" accept', "the box to itself"),
        *engines,
        _rule(f"{lan} udp dport {{ 53, 67 }} accept", "names and leases"),
        _rule(f"{lan} tcp dport {{ 53, {p.ports.web_port} }} accept", "names and the page"),
        _rule(f"{lan} icmp type echo-request limit rate 50/second accept", "are you there"),
        _rule(
            f"{lan} icmpv6 type {{ echo-request, nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }} accept",
            "neighbours",
        ),
        _rule(f"{lan} ct state established,related accept", "answers of the household"),
        _rule(f'iifname "{LINKS}" ct state established,related accept', "answers out of a tunnel"),
        _rule(f"{wan} {_is(UPSTREAM_SLOT)} accept", "answers to a transport"),
        _rule(f"{wan} udp sport 67 udp dport 68 accept", "DHCP"),
        _rule(f"{wan} icmpv6 type {FROM_NEIGHBOURS} accept", "neighbours"),
    ]


def _local_out(p: Policy, exits: Sequence[Launch]) -> list[str]:
    wan = f'oifname "{p.ports.wan}"'
    return [
        _rule('oifname "lo" accept', "the box to itself"),
        _rule(f'oifname "{p.ports.lan}" accept', "to the household"),
        *(
            _rule(
                f'oifname "{e.ifname}" {_is(launch.slot)} {_set_ct(launch.slot)} accept',
                "the box's own, into the tunnel",
            )
            for launch in exits
            if isinstance(e := launch.exit, Link)
        ),
        *(_upstream(wan, upstream) for upstream in sorted(set(p.upstreams), key=str)),
        _rule(f"{wan} udp sport 68 udp dport 67 accept", "DHCP"),
        _rule(f"{wan} icmpv6 type {NEIGHBOURS} accept", "neighbours"),
    ]


def _upstream(wan: str, to: Upstream) -> str:
    ip, ports = (
        "ip6" if to.address.version == 6 else "ip",
        f"{to.first}-{to.last}" if to.first != to.last else str(to.first),
    )
    select = f"{wan} {_is(UPSTREAM_SLOT)} {ip} daddr {to.address} {to.proto} dport {ports}"
    return _rule(f"{select} {_set_ct(UPSTREAM_SLOT)} accept", "a transport's own packets")


def _answer_dns(ports: Ports) -> list[str]:
    take = f'iifname "{ports.lan}" meta l4proto {{ tcp, udp }} th dport 53'
    rules = [_rule(f"{take} ip daddr != {ports.address.ip} dnat ip to {ports.address.ip}:53", "asked elsewhere")]
    if ports.address6:
        to = ports.address6.ip
        rules.append(_rule(f"{take} ip6 daddr != {to} dnat ip6 to [{to}]:53", "asked elsewhere"))
    return rules


def _masquerade(p: Policy) -> list[str]:
    direct = _rule(f'oifname "{p.ports.wan}" {_is(DIRECT_SLOT)} masquerade', "the owner said direct")
    return [
        _rule(f'oifname "{LINKS}" masquerade', "a tunnel knows one address"),
        *([direct] if p.may_go_direct else []),
    ]


def _own_pinned(exits: Iterable[Launch]) -> list[str]:
    return [*_pinned(exits, "own"), _rule("goto own_choose", "a new flow")]


def _own_exit(slot: int) -> list[str]:
    return [_rule(_set_mark(slot), "this exit"), _rule(_set_ct(slot), "for life"), _rule("accept", "rerouted")]


def _choose(choice: int | Direct | Refuse) -> list[str]:
    return [_rule(_to_exit(choice), "where new flows go")]


def _own_choose(choice: int | Direct | Refuse) -> list[str]:
    # The resolver never goes direct: its DoH would show which resolver, and a name is never worth that.
    return [_rule(f"goto own_{choice}", "where new flows go")] if isinstance(choice, int) else []


def _to_exit(choice: int | Direct | Refuse) -> str:
    match choice:
        case Direct():
            return "goto exit_direct"
        case Refuse():
            return "goto refuse"
        case slot:
            return f"goto exit_{slot}"


def _pinned(exits: Iterable[Launch], chain: str) -> list[str]:
    pairs = ", ".join(f"{_hex(launch.slot)} : goto {chain}_{launch.slot}" for launch in exits)
    return [_rule(f"ct mark and {_mask()} vmap {{ {pairs} }}", "one flow, one exit, for life")] if pairs else []


# -- words of the language ----------------------------------------------------------------------------------------


def _hex(slot: int) -> str:
    return f"0x{mark(slot):08x}"


def _mask() -> str:
    return f"0x{SLOT_MASK:08x}"


def _is(slot: int) -> str:
    return f"meta mark and {_mask()} == {_hex(slot)}"


def _ct_is(slot: int) -> str:
    return f"ct mark and {_mask()} == {_hex(slot)}"


def _set_mark(slot: int) -> str:
    return f"meta mark set meta mark and 0x{~SLOT_MASK & 0xFFFFFFFF:08x} or {_hex(slot)}"


def _set_ct(slot: int) -> str:
    return f"ct mark set ct mark and 0x{~SLOT_MASK & 0xFFFFFFFF:08x} or {_hex(slot)}"


def _rule(text: str, why: str) -> str:
    return f'{text} comment "clearway: {why}"'


def _base(name: str, kind: str, hook: str, priority: int, rules: Sequence[str]) -> str:
    """A base chain. Filters end in an explicit drop; chains that only translate or reroute let the rest be."""
    last, default = ([_rule("drop", "whatever is not listed")], "drop") if kind == "filter" else ([], "accept")
    return _chain(name, [f"type {kind} hook {hook} priority {priority}; policy {default};", *rules, *last])


def _chain(name: str, rules: Sequence[str]) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {rule}\n" for rule in rules) + "  }"


def _whole(chains: Sequence[str]) -> str:
    # `flush table` empties all chains and deletes none; what follows fills them, in the same transaction.
    return f"add table inet {POLICY}\nflush table inet {POLICY}\ntable inet {POLICY} {{\n" + "\n".join(chains) + "\n}\n"
