"""Rules, routes and addresses over netlink: compares what is there with what should be, and mends the difference.

Within our priorities and tables everything is ours: what should not be there is removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from routerd.model import SLOT_MASK, Interface, Route, Rule
from routerd.render.routing import FIRST_PRIORITY, LAST_PRIORITY, TABLES

FAMILY = {4: 2, 6: 10}  # AF_INET, AF_INET6
TO_TABLE, PROHIBIT = 1, 8  # FR_ACT_*, linux/fib_rules.h
LOCAL, UNREACHABLE, UNICAST = 2, 7, 1  # RTN_*, linux/rtnetlink.h
LAST_METRIC = 4294967295 - 1
SUPPRESS_DEFAULT = 0
# Somebody changes it too and was faster; what he did has us compare again. EEXIST, ENOENT; of a route EEXIST, ESRCH.
FASTER_RULE, FASTER_ROUTE = {"add": 17, "del": 2}, (17, 3)

Key = tuple[Any, ...]


async def apply_rules(netlink: AsyncIPRoute, rules: Iterable[Rule]) -> None:
    """New rules come before old ones go, so there is no moment without."""
    wanted = {_rule_key(rule) for rule in rules}
    present: dict[Key, Any] = {}
    for family in FAMILY.values():
        async for message in await netlink.get_rules(family=family):
            if (key := _present_rule(message)) is not None:
                present[key] = message
    for key in wanted - present.keys():
        await _change_rule(netlink, "add", key)
    for key in present.keys() - wanted:
        await _change_rule(netlink, "del", key)


async def _change_rule(netlink: AsyncIPRoute, verb: str, key: Key) -> None:
    try:
        await netlink.rule(verb, **_from_key(key))
    except NetlinkError as e:
        if e.code != FASTER_RULE[verb]:
            raise


def _rule_key(rule: Rule) -> Key:
    action = PROHIBIT if rule.table is None else TO_TABLE
    iif, to, ports = rule.iif or None, rule.to or None, rule.ports
    suppress = SUPPRESS_DEFAULT if rule.suppress_default else None
    return (FAMILY[rule.family], rule.priority, action, rule.table, rule.mark, iif, to, ports, suppress, rule.uid)


def _present_rule(message: Any) -> Key | None:
    priority = message.get_attr("FRA_PRIORITY") or 0
    if not FIRST_PRIORITY <= priority <= LAST_PRIORITY:
        return None
    action = message["action"]
    table = message.get_attr("FRA_TABLE") if action == TO_TABLE else None
    to = message.get_attr("FRA_DST")
    source, target = message.get_attr("FRA_SPORT_RANGE"), message.get_attr("FRA_DPORT_RANGE")
    ports = (int(source.split(":")[0]), int(target.split(":")[0])) if source and target else None
    suppress = message.get_attr("FRA_SUPPRESS_PREFIXLEN")
    return (
        message["family"],
        priority,
        action,
        table,
        message.get_attr("FRA_FWMARK") or None,
        message.get_attr("FRA_IIFNAME"),
        f"{to}/{message['dst_len']}" if to else None,
        ports,
        suppress if suppress not in (None, 4294967295) else None,
        _only_user(message.get_attr("FRA_UID_RANGE")),
    )


def _only_user(uids: Any) -> int | None:
    """The kernel tells everybody's range where none was given. Ours are of one user each."""
    if uids is None:
        return None
    first, _, last = str(uids).partition(":")
    return int(first) if first == last else None


def _from_key(key: Key) -> dict[str, Any]:
    family, priority, action, table, mark, iif, to, ports, suppress, uid = key
    arguments: dict[str, Any] = {"family": family, "priority": priority, "action": action}
    if table is not None:
        arguments["table"] = table
    if mark is not None:
        arguments |= {"fwmark": mark, "fwmask": SLOT_MASK}
    if iif:
        arguments["iifname"] = iif
    if to:
        arguments |= {"dst": to.split("/")[0], "dst_len": int(to.split("/")[1])}
    if ports:
        arguments |= {"ip_proto": 17, "sport_range": f"{ports[0]}:{ports[0]}", "dport_range": f"{ports[1]}:{ports[1]}"}
    if suppress is not None:
        arguments["suppress_prefixlen"] = suppress  # the other spelling is ignored without a word
    if uid is not None:
        arguments["uid_range"] = f"{uid}:{uid}"
    return arguments


async def apply_routes(netlink: AsyncIPRoute, routes: Iterable[Route], indexes: dict[str, int]) -> None:
    """Routes to an interface that is missing are left out: its table still ends in unreachable."""
    wanted = {key: route for route in routes if (key := _route_key(route, indexes)) is not None}
    present: set[Key] = set()
    for family in FAMILY.values():
        async for message in await netlink.get_routes(family=family):
            if (found := _present_route(message)) is not None:
                present.add(found)
    for key in sorted(wanted.keys() - present, key=str):
        await _change(netlink, "add" if key[2] == UNREACHABLE else "replace", key)
    kept = {key[:-1] for key in wanted}
    for key in [k for k in present - wanted.keys() if k[:-1] not in kept]:
        await _change(netlink, "del", key)


def _route_key(route: Route, indexes: dict[str, int]) -> Key | None:
    to = None if route.to in ("0.0.0.0/0", "::/0") else route.to
    if not route.dev:
        return (FAMILY[route.family], route.table, UNREACHABLE, to, None, None)
    if (index := indexes.get(route.dev)) is None:
        return None
    return (FAMILY[route.family], route.table, LOCAL if route.local else UNICAST, to, index, route.source or None)


def _present_route(message: Any) -> Key | None:
    table = message.get_attr("RTA_TABLE") or message["table"]
    if not TABLES <= table <= TABLES + 255:
        return None
    to = message.get_attr("RTA_DST")
    index = message.get_attr("RTA_OIF") if message["type"] != UNREACHABLE else None
    source = message.get_attr("RTA_PREFSRC")
    return (message["family"], table, message["type"], f"{to}/{message['dst_len']}" if to else None, index, source)


async def _change(netlink: AsyncIPRoute, verb: str, key: Key) -> None:
    family, table, kind, to, index, source = key
    arguments: dict[str, Any] = {"family": family, "table": table, "type": kind}
    arguments["dst"] = to or ("0.0.0.0/0" if family == FAMILY[4] else "::/0")
    if kind == UNREACHABLE:
        arguments["priority"] = LAST_METRIC
    else:
        arguments["oif"] = index
        if family == FAMILY[4]:
            arguments["scope"] = 254 if kind == LOCAL else 253  # host, link
    if source and verb != "del":
        arguments["prefsrc"] = source
    try:
        await netlink.route(verb, **arguments)
    except NetlinkError as e:
        if e.code == 22 and arguments.pop("prefsrc", None):  # EINVAL: the LAN has not its address yet; later
            await netlink.route(verb, **arguments)
        elif e.code not in FASTER_ROUTE:
            raise


async def apply_addresses(netlink: AsyncIPRoute, index: int, addresses: Iterable[Interface], *, only: bool) -> None:
    """Adds what is missing, and brings the interface up. `only`: removes other global addresses, for links of ours."""
    wanted = {(FAMILY[a.version], str(a.ip), a.network.prefixlen) for a in addresses}
    present = set()
    async for message in await netlink.get_addr(index=index):
        if message["scope"] != 253:
            present.add((message["family"], message.get_attr("IFA_ADDRESS"), message["prefixlen"]))
    for family, address, length in wanted - present:
        extra = {"flags": 0x02} if family == FAMILY[6] else {}  # IFA_F_NODAD: usable at once
        await netlink.addr("add", index=index, address=address, prefixlen=length, family=family, **extra)
    for family, address, length in (present - wanted) if only else ():
        await netlink.addr("del", index=index, address=address, prefixlen=length, family=family)
    await netlink.link("set", index=index, state="up")


async def interfaces(netlink: AsyncIPRoute) -> dict[str, int]:
    """Index of each interface, by name."""
    return {m.get_attr("IFLA_IFNAME"): m["index"] async for m in await netlink.get_links()}
