"""Policy rules, routes and sysctls. Each table of ours ends in `unreachable`, the LAN's rules end in `prohibit`.

A mark that points to an empty table falls through to main, which is a leak: hence the `unreachable` everywhere.
Both families get the same rules from the first day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from routerd.model import (
    DESYNCED_SLOT,
    DIAGNOSE_SLOT,
    DIRECT_SLOT,
    ENGINES,
    OWN_SLOT,
    UPSTREAM_SLOT,
    Launch,
    Link,
    Queue,
    Route,
    Rule,
    Tproxy,
    mark,
)
from routerd.render.guard import Ports

MAIN = 254
TABLES = 51000  # table of slot N is TABLES + N
LAN_TABLE = TABLES + 255
FIRST_PRIORITY, LAST_PRIORITY = 5000, 5999  # ours alone: host/routing.py removes whatever else it finds in here

Family = Literal[4, 6]
FAMILIES: tuple[Family, Family] = (4, 6)


def rules(ports: Ports, launches: Iterable[Launch], may_go_direct: bool, diagnosing: bool = False) -> tuple[Rule, ...]:
    ways = tuple(launches)
    return tuple(r for family in FAMILIES for r in _rules(family, ports, ways, may_go_direct, diagnosing))


def _rules(
    family: Family, ports: Ports, launches: tuple[Launch, ...], may_go_direct: bool, diagnosing: bool
) -> Iterator[Rule]:
    lan = ports.address if family == 4 else ports.address6
    if lan:
        # First of all: a WAN that hands out our own subnet must not draw the household's answers (fault 17).
        yield Rule(family, 5000, LAN_TABLE, to=str(lan.network))
    yield Rule(family, 5010, MAIN, mark=mark(UPSTREAM_SLOT))
    if diagnosing:
        yield Rule(family, 5012, MAIN, mark=mark(DIAGNOSE_SLOT))
    for launch in launches:
        if not launch.marks:  # while it connects, its packets have no mark yet; the ruleset gives them one
            yield Rule(family, 5014, MAIN, uid=ENGINES + launch.slot)
    straight = [launch.slot for launch in launches if isinstance(launch.exit, Queue)]
    if straight:
        yield Rule(family, 5016, MAIN, mark=mark(DESYNCED_SLOT))
    for slot in (launch.slot for launch in launches):
        yield Rule(family, 5020 + slot, MAIN if slot in straight else TABLES + slot, mark=mark(slot))
    yield Rule(family, 5200, TABLES + OWN_SLOT, mark=mark(OWN_SLOT))
    if may_go_direct:
        yield Rule(family, 5210, MAIN, mark=mark(DIRECT_SLOT))
    yield Rule(family, 5220, None, iif=ports.lan)
    # The box's own, unmarked: DHCP, and what is directly connected. Nothing else.
    if family == 4:
        yield Rule(family, 5230, MAIN, iif="lo", ports=(68, 67))
    yield Rule(family, 5240, MAIN, iif="lo", suppress_default=True)
    yield Rule(family, 5250, None, iif="lo")


def routes(ports: Ports, launches: Iterable[Launch]) -> tuple[Route, ...]:
    return tuple(route for family in FAMILIES for route in _routes(family, ports, tuple(launches)))


def _routes(family: Family, ports: Ports, launches: tuple[Launch, ...]) -> Iterator[Route]:
    everything = "0.0.0.0/0" if family == 4 else "::/0"
    lan = ports.address if family == 4 else ports.address6
    source = str(lan.ip) if lan else ""
    if lan:
        yield Route(family, LAN_TABLE, str(lan.network), dev=ports.lan, source=source)
        yield Route(family, LAN_TABLE, everything)
    engines = [TABLES + launch.slot for launch in launches if isinstance(launch.exit, Tproxy)]
    for table in (TABLES + OWN_SLOT, *engines):
        # `source`: a local route would else pick the destination itself as the source of the box's own packets.
        # An engine's is an address of `lo`: who answers by the port that a packet came in by (wireguard-go does) is
        # told the port of this address, and what then asks for another port than the table's goes out there, on link.
        local = "127.0.0.1" if table in engines and family == 4 else source
        yield Route(family, table, everything, dev="lo", local=True, source=local)
        yield Route(family, table, everything)
    for launch in launches:
        if isinstance(link := launch.exit, Link):
            if link.carries(family):
                yield Route(family, TABLES + launch.slot, everything, dev=link.ifname)
            yield Route(family, TABLES + launch.slot, everything)


def sysctls(ports: Ports, launches: Iterable[Launch], may_go_direct: bool) -> tuple[tuple[str, str], ...]:
    """Key and value, in the order to write them. A key of a missing interface is passed over."""
    exits = [launch.exit for launch in launches]
    links, straight = [e for e in exits if isinstance(e, Link)], [e for e in exits if isinstance(e, Queue)]
    to_wan, to_wan6 = may_go_direct or bool(straight), may_go_direct or any(e.ipv6 for e in straight)
    routed, routed6 = bool(links) or to_wan, any(link.ipv6 for link in links) or to_wan6
    v4, v6 = "net/ipv4/conf", "net/ipv6/conf"
    return (
        ("net/ipv4/ip_forward", "0"),  # TPROXY needs none; links and direct get it on their own ports, below
        (f"{v4}/{ports.lan}/forwarding", _flag(routed)),
        (f"{v4}/{ports.wan}/forwarding", _flag(to_wan)),
        *((f"{v4}/{link.ifname}/forwarding", "1") for link in links),
        (f"{v6}/all/forwarding", _flag(routed6)),  # per port it stops nothing: only `all` counts
        *(((f"{v6}/{ports.wan}/accept_ra", "2"),) if routed6 else ()),  # else forwarding would end the WAN's own IPv6
        (f"{v6}/{ports.lan}/accept_ra", "0"),
        (f"{v4}/all/rp_filter", "0"),  # the ruleset checks sources; strict rp_filter knows no marks and drops answers
        (f"{v4}/{ports.wan}/rp_filter", "0"),
        (f"{v4}/{ports.lan}/rp_filter", "0"),
        (f"{v4}/all/src_valid_mark", "1"),
        (f"{v4}/{ports.wan}/arp_ignore", "2"),  # no ARP answer for the LAN's or a tunnel's address (fault 29)
        (f"{v4}/{ports.wan}/arp_announce", "2"),
        (f"{v4}/{ports.wan}/accept_redirects", "0"),
        (f"{v6}/{ports.wan}/accept_redirects", "0"),
        (f"{v4}/{ports.lan}/send_redirects", "0"),
        (f"{v4}/all/accept_source_route", "0"),
        (f"{v4}/all/route_localnet", "0"),
        ("net/ipv4/tcp_fwmark_accept", "0"),  # 1 breaks tproxy: the engine's SYN-ACKs would loop to local
        ("net/netfilter/nf_conntrack_acct", "1"),  # how young a connection is that is reset
        ("net/ipv4/fwmark_reflect", "0"),
        ("net/ipv6/fwmark_reflect", "0"),
    )


def _flag(on: bool) -> str:
    return "1" if on else "0"
