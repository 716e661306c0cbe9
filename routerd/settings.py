"""What the owner asked for, read once from TOML and never half-valid.

The wall: nothing past this file (and links/) handles a raw string that ends in a ruleset, a configuration file or an
argv. Each error names the key, the value and what is allowed. A secret never stands in an error.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from types import MappingProxyType
from typing import Literal, cast
from urllib.parse import urlsplit

from routerd.entries import Entry as Entry
from routerd.entries import Read, builtin_ladder, listed_transports, name_of
from routerd.model import LAST_SLOT, SHARED_SLOTS
from routerd.table import SettingsError, Table, is_address, shown, url_problem

MOST_RESOLVERS = 4
LEAST_SOURCES, MOST_SOURCES = 3, 8
LIMIT = 1 << 20  # bytes of clearway.toml
MOST_SUBSCRIPTIONS = 8
USER_AGENT = "v2rayN/7.13"  # panels give a list of share links to it, and a web page to browsers
MOAT = "https://bridges.torproject.org/moat/circumvention"  # rdsys' API: `settings` and `defaults` below it
RESOLVERS = ("https://9.9.9.9/dns-query", "https://1.1.1.1/dns-query", "https://8.8.8.8/dns-query")
# By different operators in different countries: no censor has most of them. What they answer does not matter.
TIME_SOURCES = (
    "https://1.1.1.1/dns-query",
    "https://8.8.8.8/dns-query",
    "https://94.140.14.14/dns-query",
    "https://208.67.222.222/dns-query",
    "https://223.5.5.5/dns-query",
)
TARGETS = (
    "https://www.gstatic.com/generate_204",
    "https://cp.cloudflare.com/generate_204",
    "https://detectportal.firefox.com/success.txt",
)
# Some censors let only the beginning of an answer pass. Both give what is asked for here: 64 KB and more.
LARGE = (
    "https://speed.cloudflare.com/__down?bytes=98304",
    "https://www.youtube.com/",
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One [[subscription]] of the file. `url` may hold a token. `keep` nodes are kept warm.

    `hours` between updates; 0: as the provider says.
    """

    name: str
    url: str = field(repr=False)
    user_agent: str = USER_AGENT
    hours: int = 0
    keep: int = 2
    confirm: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    wan: str
    lan: str
    address: IPv4Interface
    address6: IPv6Interface | None = None
    dhcp: bool = True
    web_port: int = 8080
    on_failure: Literal["block", "direct"] = "block"
    order: Literal["listed", "fastest"] = "listed"
    standby: int = 2
    resolvers: tuple[str, ...] = RESOLVERS
    targets: tuple[str, ...] = TARGETS
    canaries: tuple[str, ...] = ()
    large: tuple[str, ...] = LARGE
    metered: bool = False
    time_sources: tuple[str, ...] = TIME_SOURCES
    country: str = ""
    moat: str = MOAT
    transports: Mapping[str, Entry] = field(default_factory=lambda: MappingProxyType({}))
    own_ladder: bool = False  # the owner has set up no transport: these are the ones that we know of
    subscriptions: Mapping[str, Subscription] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def enabled(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.transports.values() if entry.enabled)

    @property
    def via(self) -> Mapping[str, str]:
        """What each one travels inside, where it does."""
        return MappingProxyType({name: entry.via for name, entry in self.transports.items() if entry.via})


def parse_settings(text: str, read: Read) -> Settings:
    """`text` is clearway.toml; `read(path)` gives a wg-quick file that it names. Raises SettingsError."""
    if len(text) > LIMIT:
        raise SettingsError(f"clearway.toml: larger than {LIMIT} bytes")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as e:  # ValueError: a number of thousands of digits, too
        raise SettingsError(f"clearway.toml: not valid TOML: {e}") from e
    return _settings(Table("", table), read)


def _settings(top: Table, read: Read) -> Settings:
    wan, lan, policy, dns = (top.table(key) for key in ("wan", "lan", "policy", "dns"))
    watchdog, web, time, tor = (top.table(key) for key in ("watchdog", "web", "time", "tor"))
    builtin, listed = policy.take("builtin", bool, True), listed_transports(top.tables("transport"), read)
    subscriptions = _subscriptions(top.tables("subscription"))
    ladder = builtin_ladder(read, straight=not subscriptions) if builtin and not listed else {}
    settings = Settings(
        wan=_ifname(wan, "interface"),
        lan=_ifname(lan, "interface"),
        address=_address4(lan),
        address6=_address6(lan),
        dhcp=lan.take("dhcp", bool, True),
        web_port=web.number("port", 8080, 1, 65535),
        on_failure=cast(Literal["block", "direct"], policy.choice("on_failure", ("block", "direct"))),
        order=cast(Literal["listed", "fastest"], policy.choice("order", ("listed", "fastest"))),
        standby=policy.number("standby", 2, 0, 8),
        resolvers=_urls(dns, "resolvers", RESOLVERS, by_address=MOST_RESOLVERS),
        targets=_urls(watchdog, "targets", TARGETS),
        canaries=_urls(watchdog, "canaries", (), empty=True),
        large=_urls(watchdog, "large", LARGE, empty=True),
        metered=wan.take("metered", bool, False),
        time_sources=_time_sources(time),
        country=_country(wan),
        moat=_url(tor, "moat", MOAT),
        transports=listed or MappingProxyType(ladder),
        own_ladder=bool(ladder),
        subscriptions=subscriptions,
    )
    if settings.subscriptions and len(settings.transports) > LAST_SLOT - SHARED_SLOTS:
        raise SettingsError(f"transport: at most {LAST_SLOT - SHARED_SLOTS} beside a subscription")
    if settings.wan == settings.lan:
        raise SettingsError(f"lan.interface: {settings.lan!r} is the WAN's too; they must differ")
    for table in (wan, lan, policy, dns, watchdog, web, time, tor, top):
        table.done()
    return settings


def _subscriptions(tables: list[Table]) -> Mapping[str, Subscription]:
    if len(tables) > MOST_SUBSCRIPTIONS:
        raise SettingsError(f"subscription: {len(tables)} of them; at most {MOST_SUBSCRIPTIONS}")
    found: dict[str, Subscription] = {}
    for table in tables:
        made = _subscription(table)
        if made.name in found:
            raise table.fail("name", f"{shown(made.name)} is taken by another subscription; names must differ")
        found[made.name] = made
    return MappingProxyType(found)


def _subscription(table: Table) -> Subscription:
    """The address is a password: no error shows it."""
    name, url = name_of(table), table.take("url", str)
    if problem := url_problem(url):
        raise table.fail("url", problem)
    agent = cast(str, table.take("user_agent", str, USER_AGENT))
    if not re.fullmatch(r"[!-~]([ -~]{0,126}[!-~])?", agent):
        raise table.fail("user_agent", "must be 1 to 128 printable ASCII characters")
    made = Subscription(
        name,
        url,
        agent,
        hours=table.number("update_hours", 0, 0, 720),
        keep=table.number("keep", 2, 1, 4),
        confirm=table.take("confirm", bool, False),
        enabled=table.take("enabled", bool, True),
    )
    table.done()
    return made


def _ifname(table: Table, key: str) -> str:
    name = cast(str, table.take(key, str))
    taken = name in ("lo", "all", "default") or name.startswith("cw-")  # the kernel's, and ours
    if taken or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", name):
        raise table.fail(
            key,
            f"{shown(name)} is not an interface name (letters, digits, '_.-'; at most 15; not lo, all, default, cw-*)",
        )
    return name


def _address4(table: Table) -> IPv4Interface:
    text = table.take("address", str)
    address = _interface(table, "address", text)
    if not isinstance(address, IPv4Interface) or not 8 <= address.network.prefixlen <= 30:
        raise table.fail("address", f"{shown(text)} must be an IPv4 address with a prefix of /8 to /30")
    if address.ip in (address.network.network_address, address.network.broadcast_address):
        raise table.fail("address", f"{shown(text)} is the network's own or broadcast address, not a host's")
    return address


def _address6(table: Table) -> IPv6Interface | None:
    text = table.take("address6", str, "")
    if not text:
        return None
    address = _interface(table, "address6", text)
    if not isinstance(address, IPv6Interface) or address.network.prefixlen != 64:
        raise table.fail("address6", f"{shown(text)} must be an IPv6 address with prefix /64 (SLAAC needs 64)")
    return address


def _interface(table: Table, key: str, text: str) -> IPv4Interface | IPv6Interface:
    try:
        address = ip_interface(text)
    except ValueError as e:
        raise table.fail(key, f"{shown(text)} is not an address with a prefix, like 192.168.77.1/24") from e
    if "%" in text or address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
        raise table.fail(key, f"{shown(text)} cannot be a LAN address")
    return address


def _urls(
    table: Table, key: str, default: tuple[str, ...], *, by_address: int = 0, empty: bool = False
) -> tuple[str, ...]:
    """`by_address`: each has an address for a host, and there are so many at most; 0: names are fine."""
    urls = table.strings(key, default)
    if not urls and not empty:
        raise table.fail(key, "needs at least one https:// address")
    if by_address and len(urls) > by_address:
        raise table.fail(key, f"{len(urls)} of them; at most {by_address} are asked")
    for url in urls:
        _check_url(table, key, url, bool(by_address))
    return urls


def _time_sources(table: Table) -> tuple[str, ...]:
    """None at all, or enough for most of them to be right though one is wrong."""
    urls = _urls(table, "sources", TIME_SOURCES, by_address=MOST_SOURCES, empty=True)
    hosts = {ip_address(urlsplit(url).hostname or "") for url in urls}
    if urls and len(hosts) < LEAST_SOURCES:
        raise table.fail(
            "sources", f"{len(hosts)} hosts; give none (the clock is left alone) or at least {LEAST_SOURCES}"
        )
    return urls


def _country(table: Table) -> str:
    code = cast(str, table.take("country", str, ""))
    if code and not re.fullmatch(r"[A-Za-z]{2}", code):
        raise table.fail("country", f"{shown(code)} is not a country's two letters, like ir")
    return code.lower()


def _url(table: Table, key: str, default: str) -> str:
    url = cast(str, table.take(key, str, default))
    _check_url(table, key, url, False)
    return url.rstrip("/")


def _check_url(table: Table, key: str, url: str, by_address: bool) -> None:
    problem = url_problem(url, "https://ADDRESS/path" if by_address else "https://HOST/path")
    if by_address and not (problem.startswith("is not") or is_address(urlsplit(url).hostname or "")):
        problem = "must name its host by address, like https://9.9.9.9/dns-query"
    if problem:
        raise table.fail(key, f"{shown(url)} {problem}")
