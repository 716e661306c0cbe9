"""The guard table: what comes from the LAN does not go out of the WAN port unless it carries the mark of a direct exit.

Static: loaded at early boot, never rewritten. Enough alone for the household's packets, whatever becomes of the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from routerd.model import DESYNCED_SLOT, DIAGNOSE_SLOT, DIRECT_SLOT, QUEUED_SLOT, UPSTREAM_SLOT
from routerd.render.words import FROM_NEIGHBOURS, LINKS, NEIGHBOURS, base, ct_is, is_, one_of, rule

GUARD = "clearway_guard"


@dataclass(frozen=True, slots=True)
class Ports:
    """The box's two sides, as the rules need them."""

    lan: str
    wan: str
    address: IPv4Interface
    address6: IPv6Interface | None
    web_port: int


def guard(ports: Ports | None) -> str:
    """Without readable settings (None) nothing at all is let through."""
    lo_in, lo_out = (rule(f'{way} "lo" accept', "the box to itself") for way in ("iifname", "oifname"))
    chains = [
        base("forward", "filter", "forward", 10, _forward(ports) if ports else []),
        base("input", "filter", "input", 10, [*(_incoming(ports) if ports else []), lo_in]),
        base("leaving", "filter", "postrouting", 10, _leaving(ports) if ports else [lo_out]),
    ]
    return f"table inet {GUARD} {{\n" + "\n".join(chains) + "\n}\n"


def _forward(ports: Ports) -> list[str]:
    lan, wan = f'"{ports.lan}"', f'"{ports.wan}"'
    answered, straight = "ct state established,related accept", one_of(QUEUED_SLOT, DESYNCED_SLOT)
    return [
        rule(f'iifname {lan} oifname "{LINKS}" accept', "into a tunnel"),
        rule(f'iifname "{LINKS}" oifname {lan} {answered}', "back out of a tunnel"),
        rule(f"iifname {lan} oifname {wan} {is_(DIRECT_SLOT)} accept", "the owner said direct"),
        rule(f"iifname {wan} oifname {lan} {ct_is(DIRECT_SLOT)} {answered}", "its answers"),
        rule(f"iifname {lan} oifname {wan} {straight} accept", "straight out; what waits for its worker ends below"),
        rule(f"iifname {wan} oifname {lan} {straight} {answered}", "its answers"),
    ]


def _incoming(ports: Ports) -> list[str]:
    wan = f'iifname "{ports.wan}"'
    return [
        rule(f'iifname "{ports.lan}" accept', "policy says which"),
        rule(f"{wan} {ct_is(UPSTREAM_SLOT)} accept", "answers to a transport"),
        rule(f"{wan} {ct_is(DIAGNOSE_SLOT)} accept", "answers to a diagnosis; policy says when"),
        rule(f"{wan} {is_(DESYNCED_SLOT)} accept", "answers to what went straight out; policy says which"),
        rule(f'iifname "{LINKS}" accept', "policy says which"),
        rule(f"{wan} udp sport 67 udp dport 68 accept", "DHCP"),
        rule(f"{wan} icmpv6 type {FROM_NEIGHBOURS} accept", "neighbours"),
    ]


def _leaving(ports: Ports) -> list[str]:
    """Behind routing, forwarded and local packets alike: only here is `oifname` the port that a packet really takes.

    In the `output` hook it is still `lo` for what the policy rerouted.
    """
    return [
        rule(f'oifname != "{ports.wan}" accept', "not to the WAN"),
        rule(f"{is_(UPSTREAM_SLOT)} accept", "a transport's own packets"),
        rule(f"{is_(DIRECT_SLOT)} accept", "the owner said direct"),
        rule(f"{is_(DESYNCED_SLOT)} accept", "straight out, and its worker has seen it"),
        rule(f"{is_(DIAGNOSE_SLOT)} accept", "a diagnosis; policy says when"),
        rule("udp sport 68 udp dport 67 accept", "DHCP"),
        rule(f"icmpv6 type {NEIGHBOURS} accept", "neighbours"),
    ]
