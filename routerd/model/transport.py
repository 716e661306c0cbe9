"""Transport: what should run, and how packets enter it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Literal

from routerd.model.slots import UPSTREAM_SLOT

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface

OF_THE_LINE = ""  # in the place of a server: whichever resolver the line's lease names


@dataclass(frozen=True, slots=True)
class Engine:
    """The program that carries a transport. `tag`: what it must have been built with."""

    name: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Carries:
    """What gets through beside TCP to IPv4. `quic`: UDP to port 443. `hidden`: nobody on the way can read it.

    `straight`: there is no server in between; what is visited sees the household's own address, and so does the line.
    """

    udp: bool = True
    ipv6: bool = True
    quic: bool = True
    hidden: bool = True
    straight: bool = False


@dataclass(frozen=True, slots=True)
class Tproxy:
    """An engine's transparent port, on 127.0.0.1 and ::1. `udp`, `quic` (UDP 443), `ipv6`: whether it carries them."""

    port: int
    udp: bool = True
    ipv6: bool = True
    quic: bool = True


@dataclass(frozen=True, slots=True)
class Link:
    """A kernel or tun interface. `ipv6`: whether it carries IPv6. `mtu` in bytes, of the inner packet.

    `families`: of the addresses that its engine gives it by itself, once the server has said which. `tool`: takes
    `wireguard`. `ahead`: bytes that it puts around each packet beside a tunnel's own.
    """

    ifname: str
    addresses: tuple[Interface, ...]
    mtu: int = 1420
    wireguard: str = field(default="", repr=False)  # wg(8) `setconf` text; holds the private key
    families: tuple[Literal[4, 6], ...] = ()
    tool: Literal["wg", "awg"] = "wg"
    ahead: int = 0

    @property
    def ipv6(self) -> bool:
        return self.carries(6)

    def carries(self, family: Literal[4, 6]) -> bool:
        return family in self.families or any(a.version == family for a in self.addresses)


@dataclass(frozen=True, slots=True)
class Queue:
    """The direct way out, with a worker in the path of each flow's first packets. `number`: of the netfilter queue."""

    number: int
    udp: bool = True
    ipv6: bool = True


@dataclass(frozen=True, slots=True)
class Direct:
    """The way out without any transport; only ever by the owner's word."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """No way out: the household is told so at once."""


Exit = Tproxy | Link | Queue | Direct | Refuse


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a transport's own packets may go in clear: one address, one protocol, ports first..last.

    `address` None: anywhere outside, for an engine whose servers are not known beforehand.
    """

    address: Address | None
    proto: Literal["tcp", "udp"]
    first: int
    last: int


def beneath(via: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The transports that `name` travels inside, the nearest first; `via` says of each what it is directly inside.

    In a circle, each is in there once.
    """
    found = [name]
    while (outer := via.get(found[-1], "")) and outer not in found:
        found.append(outer)
    return tuple(found[1:])


@dataclass(frozen=True, slots=True)
class Helper:
    """A program that the engine starts by itself: the first of `programs` that is on the box (host/helpers.py).

    `carries`: what it is for, in the owner's words. `config`: what follows the Launch's `stdin` where there is such a
    program, with its path in the place of the braces.
    """

    carries: str
    programs: tuple[str, ...]
    config: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Launch:
    """What should run for one transport.

    `argv[0]` is an engine's name (`sing-box`, `xray`, `wireguard-go`), found on the box by host/engines.py. `stdin`
    holds the engine's configuration, secrets included, and is never printed. `via`: the slot that its own packets
    carry: UPSTREAM_SLOT straight to the server, else the slot of the transport that it travels inside. `marks` False:
    the engine cannot mark them; the ruleset does, by the user that it alone runs as (ENGINES plus the slot). `asks`:
    it looks up names by itself. `keeps`: it has files that outlive a restart, in its working directory. `helpers`: what
    it starts by itself; `needs_one`: without any of these it carries nothing. `tag`: what the engine must have been
    built with. `bold`: its own TCP may make packets as long as the line says that it takes (docs/decisions/0010).
    """

    name: str
    slot: int
    argv: tuple[str, ...]
    exit: Tproxy | Link | Queue
    upstreams: tuple[Upstream, ...]
    stdin: str = field(default="", repr=False)
    via: int = UPSTREAM_SLOT
    marks: bool = True
    asks: bool = False
    keeps: bool = False
    tag: str = ""
    bold: bool = False
    helpers: tuple[Helper, ...] = ()
    needs_one: bool = False
