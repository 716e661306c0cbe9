"""What the household may: reach the box by a few ports, and go out by an exit, as itself and nobody else.

What judges a new flow stands behind the one look-up that a pinned one takes: each packet of a download walks this.
"""

from __future__ import annotations

from collections.abc import Sequence

from routerd.model import DIRECT_SLOT, Launch, Tproxy
from routerd.render import exits, own
from routerd.render.guard import Ports
from routerd.render.words import NAMES, hexadecimal, rooms, rule, slot_of


def arriving(ports: Ports, launches: Sequence[Launch]) -> list[str]:
    """All but where a new flow goes."""
    lan6 = f"{{ {ports.address6.network}, fe80::/10, :: }}" if ports.address6 else "{ fe80::/10, :: }"
    ours = f"ip daddr {ports.address.ip} accept"
    ours6 = (
        f"ip6 daddr {{ {ports.address6.ip}, fe80::/10, ff02::/16 }} accept"
        if ports.address6
        else ("ip6 daddr { fe80::/10, ff02::/16 } accept")
    )
    return [
        # Its first packet was judged by all that follows; `original`, because a forged answer could match too.
        *rooms(f"ct direction original {slot_of('ct')}", exits.pinned(launches), "one flow, one exit, for life"),
        rule(f"ip saddr {ports.address.ip} drop", "nobody else is the box"),
        *([rule(f"ip6 saddr {ports.address6.ip} drop", "nobody else is the box")] if ports.address6 else []),
        rule("ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept", "DHCP"),
        rule(f"ip saddr != {ports.address.network} drop", "spoofed source"),
        rule(f"ip6 saddr != {lan6} drop", "spoofed source"),
        rule(
            f'meta l4proto {{ tcp, udp }} th dport 53 counter name "{NAMES}" accept',
            "answered by the box, whatever the address",
        ),
        rule(ours, "for the box"),
        rule(ours6, "for the box"),
        rule("fib daddr type local drop", "an address of the box that is not the household's"),
        rule("fib daddr type { broadcast, multicast } accept", "for the box, if for anyone"),
        rule(f"ip daddr {own.NOT_OUTSIDE4} goto refuse", "not outside"),
        rule(f"ip6 daddr {own.NOT_OUTSIDE6} goto refuse", "not outside"),
        rule(f"{slot_of('ct')} != {{ 0x0, {hexadecimal(DIRECT_SLOT)} }} goto refuse", "its exit is gone"),
    ]


def aside(devices: Sequence[tuple[str, exits.Choice]], networks: Sequence[str]) -> list[str]:
    """New flows that the owner sends another way than the rest."""
    return [
        *(rule(f"ether saddr {mac} {exits.to_exit(choice)}", "a device of its own policy") for mac, choice in devices),
        *(
            rule(f"ip{'6' if ':' in network else ''} daddr {network} goto exit_direct", "a direct network")
            for network in networks
        ),
    ]


def for_box(ports: Ports, launches: Sequence[Launch]) -> list[str]:
    taken = ", ".join(hexadecimal(launch.slot) for launch in launches if isinstance(launch.exit, Tproxy))
    engines = [rule(f"{slot_of('meta')} {{ {taken} }} accept", "taken by an engine")] if taken else []
    return [
        *engines,
        rule("udp dport { 53, 67 } accept", "names and leases"),
        rule(f"tcp dport {{ 53, {ports.web_port} }} accept", "names and the page"),
        rule("icmp type echo-request limit rate 50/second accept", "are you there"),
        rule(
            "icmpv6 type { echo-request, nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept",
            "neighbours",
        ),
        rule("ct state established,related accept", "answers of the household"),
    ]


def answer_dns(ports: Ports) -> list[str]:
    take = f'iifname "{ports.lan}" meta l4proto {{ tcp, udp }} th dport 53'
    rules = [rule(f"{take} ip daddr != {ports.address.ip} dnat ip to {ports.address.ip}:53", "asked elsewhere")]
    if ports.address6:
        to = ports.address6.ip
        rules.append(rule(f"{take} ip6 daddr != {to} dnat ip6 to [{to}]:53", "asked elsewhere"))
    return rules
