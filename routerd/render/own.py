"""The box's own packets, out and back: its transports' to their servers, in clear or inside another one; its look-ups.

What comes back is counted here: the watchdog's cheapest signs.
"""

from __future__ import annotations

from collections.abc import Sequence

from routerd.model import UPSTREAM_SLOT, Launch, Tproxy, Upstream
from routerd.render import exits
from routerd.render.words import BACK, OUT, RESETS, is_, rule, set_ct, set_own_ct, slot_of

YOUNG = 5  # packets from the server, at most
# Bytes that every line carries: IPv6 asks for so many. A line that carries fewer than its ends think says so by ICMP,
# and on many lines that gets lost: so no TCP connection of ours is told of larger packets, either way (but for `bold`).
NARROWEST = 1280
HEADERS = 60  # bytes, of IPv6 and TCP
OPENING = "tcp flags syn / syn,rst"

NOT_OUTSIDE4 = "{ 0.0.0.0/8, 10.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, 224.0.0.0/3 }"
NOT_OUTSIDE6 = "{ ::/127, fc00::/7, fe80::/10, ff00::/8 }"
OUTSIDE4, OUTSIDE6 = f"ip daddr != {NOT_OUTSIDE4}", f"ip6 daddr != {NOT_OUTSIDE6}"
NOT_FOR_ENGINES = "{ 53, 123 }"  # names and time have ways of their own


def answered(launches: Sequence[Launch]) -> list[str]:
    """Counts them: silence, and resets, are the watchdog's cheapest signs."""
    elsewhere = [(launch.slot, to) for launch in launches for to in launch.upstreams if not to.address]
    return [
        *_resets(launches),
        *_answers([each for each in launches if each.bold]),
        narrow("ct direction reply"),
        *_answers([each for each in launches if not each.bold]),
        # From where is not known beforehand; with two such transports at a time, each counts the other's too.
        *(rule(f'meta l4proto {to.proto} counter name "{BACK}{slot}"', "maybe its server") for slot, to in elsewhere),
        rule("accept", "answers to the box's own look-ups"),
    ]


def _resets(launches: Sequence[Launch]) -> list[str]:
    # Servers reset connections at their end too; needs nf_conntrack_acct, else it counts those as well.
    young = f"tcp flags rst ct reply packets < {YOUNG}"
    return [
        rule(f'{place} {young} counter name "{RESETS}{slot}"', "hardly begun, reset")
        for slot, place in _places("s", launches)
        if " tcp " in place
    ]


def _not_home() -> list[str]:
    """What carries an exit's mark is meant for the outside: a list fetched through one may not name us (fault 63)."""
    marked = f"{slot_of('meta')} != 0x0 ct direction original"
    return [
        rule(f"{marked} ip daddr {NOT_OUTSIDE4} drop", "an exit does not lead home"),
        rule(f"{marked} ip6 daddr {NOT_OUTSIDE6} drop", "an exit does not lead home"),
    ]


def _answers(launches: Sequence[Launch]) -> list[str]:
    return [
        rule(f'{place} counter name "{BACK}{slot}" accept', "its server answers")
        for slot, place in _places("s", launches)
    ]


def _places(end: str, launches: Sequence[Launch]) -> list[tuple[int, str]]:
    """Of servers that are known beforehand."""
    return [(launch.slot, _place(end, to)) for launch in launches for to in launch.upstreams if to.address]


def to_lan(launches: Sequence[Launch]) -> list[str]:
    """No transport's own packets: a socket that insists on this port would find its server on this link."""
    outer = sorted({launch.via for launch in launches} - {UPSTREAM_SLOT})
    return [
        *(rule(f"{is_(slot)} drop", "a transport's own, inside another") for slot in outer),
        *_not_home(),
        rule("accept", "to the household"),
    ]


def inside_engines(launches: Sequence[Launch]) -> list[Launch]:
    """Those that travel inside an engine's transport: by the loopback, as whatever of the box's own goes into one."""
    engines = {launch.slot for launch in launches if isinstance(launch.exit, Tproxy)}
    return [launch for launch in launches if launch.via in engines]


def from_lo(inside: Sequence[Launch]) -> list[str]:
    return [*_resets(inside), *_answers(inside), rule("accept", "the box to itself")]


def to_lo(inside: Sequence[Launch]) -> list[str]:
    return [*_into_another(inside), *_not_home(), rule("accept", "the box to itself")]


def _into_another(inside: Sequence[Launch], pin: str = "") -> list[str]:
    """Their own packets carry the mark of the transport that they travel inside. Counted as on the WAN."""
    via = {launch.slot: launch.via for launch in inside}
    return [
        rule(f'{place} {is_(via[slot])}{pin} counter name "{OUT}{slot}" accept', "a transport's own, inside another")
        for slot, place in _places("d", inside)
    ]


def from_link(slot: int, launches: Sequence[Launch]) -> list[str]:
    inside = [launch for launch in launches if launch.via == slot]
    return [
        fitting(slot),
        *([rule("ct state != { established, related } drop", "not asked for")] if inside else []),
        *_resets(inside),
        *_answers(inside),
        rule("ct state established,related accept", "answers out of a tunnel"),
    ]


def to_link(slot: int, launches: Sequence[Launch]) -> list[str]:
    return [
        fitting(slot),
        *_into_another([launch for launch in launches if launch.via == slot], f" {set_own_ct(slot)}"),
        rule(f"{is_(slot)} {set_own_ct(slot)} accept", "the box's own, into the tunnel"),
    ]


def _upstreams(launch: Launch, to: Upstream) -> list[str]:
    count = f' counter name "{OUT}{launch.slot}"'
    if to.address:
        return [upstream(to, count)]
    return [upstream(to, count, f"{exits.by_user(launch)} {outside} ") for outside in (OUTSIDE4, OUTSIDE6)]


def upstream(to: Upstream, count: str = "", whose: str = "") -> str:
    select = f"{whose}{_place('d', to)} {is_(UPSTREAM_SLOT)}"
    return rule(f"{select} {set_ct(UPSTREAM_SLOT)}{count} accept", "a transport's own packets")


def _place(end: str, at: Upstream) -> str:
    """The server's address, protocol and ports, as the destination (`d`) or the source (`s`) of a packet."""
    ports = f"{at.first}-{at.last}" if at.first != at.last else str(at.first)
    if not at.address:
        spared = f" {at.proto} {end}port != {NOT_FOR_ENGINES}" if at.first != at.last else ""
        return f"{at.proto} {end}port {ports}{spared}"
    return f"{'ip6' if at.address.version == 6 else 'ip'} {end}addr {at.address} {at.proto} {end}port {ports}"


def narrow(what: str) -> str:
    select = f"{OPENING} {what} tcp option maxseg size set {NARROWEST - HEADERS}"
    return rule(select, "segments that fit every line")


def fitting(slot: int) -> str:
    return rule(f"{OPENING} jump fit_{slot}", "segments that fit")


def to_servers(launches: Sequence[Launch]) -> list[str]:
    """In clear, on the WAN."""
    return [one for e in launches for to in e.upstreams for one in _upstreams(e, to)]


def names(launches: Sequence[Launch], port: int) -> list[str]:
    """An engine's own question for a name goes by DoH, wherever it was sent. `port`: the resolver's."""
    asked = "meta l4proto { tcp, udp } th dport 53"
    return [rule(f"{exits.by_user(e)} {asked} dnat ip to 127.0.0.1:{port}", "asked by DoH") for e in launches if e.asks]


def addressed(wan: str, launches: Sequence[Launch]) -> list[str]:
    """WebRTC sends from every address of the box, and the line need not see those of the home and the tunnels."""
    loose = [launch for launch in launches if any(to.address is None and to.proto == "udp" for to in launch.upstreams)]
    return [rule(f'oifname "{wan}" {exits.by_user(e)} masquerade', "from the line's address alone") for e in loose]


def look_ups(launches: Sequence[Launch], port: int) -> list[str]:
    """In this hook they still have the way from before they were turned. Unmarked, so the guard lets none out."""
    select = f"ip daddr 127.0.0.1 meta l4proto {{ tcp, udp }} th dport {port}"
    return [rule(f"{exits.by_user(e)} {select} accept", "asked by DoH") for e in launches if e.asks]
