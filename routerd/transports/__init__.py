"""Every transport we know. A transport is frozen data with one pure method, `launch`: it starts nothing."""

from __future__ import annotations

from dataclasses import Field
from typing import Any, ClassVar, Protocol

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports.amneziawg import AmneziaWg
from routerd.transports.anytls import AnyTls
from routerd.transports.desync import Desync
from routerd.transports.http import Http
from routerd.transports.hysteria import Hysteria
from routerd.transports.hysteria2 import Hysteria2
from routerd.transports.iodine import Iodine
from routerd.transports.naive import Naive
from routerd.transports.openvpn import OpenVpn
from routerd.transports.shadowsocks import Shadowsocks
from routerd.transports.shadowtls import ShadowTls
from routerd.transports.socks import Socks
from routerd.transports.ssh import Ssh
from routerd.transports.tor import Tor
from routerd.transports.trojan import Trojan
from routerd.transports.tuic import Tuic
from routerd.transports.vless import Vless
from routerd.transports.vmess import Vmess
from routerd.transports.wireguard import WireGuard


class Transport(Protocol):
    """`server` is the upstream's host: an IP address by the time `launch` is called, plan.py sees to that.

    Every transport is a dataclass, so that plan.py may `replace(transport, server=address)`.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    kind: ClassVar[str]

    @property
    def engine(self) -> Engine:
        """What carries it, and what that must have been built with."""
        ...

    @property
    def carries(self) -> Carries:
        """What gets through; the rest is refused at once."""
        ...

    @property
    def server(self) -> str: ...

    @property
    def port(self) -> int: ...

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        """What to run, its own packets with the mark of the slot `via`. Raises ValueError when `server` is a name."""
        ...


KINDS: dict[str, type[Transport]] = {
    kind.kind: kind
    for kind in (
        *(Shadowsocks, Hysteria2, Vless, Vmess, Trojan, WireGuard, AmneziaWg),
        *(Tuic, AnyTls, ShadowTls, Hysteria, Ssh, Socks, Http, Naive, OpenVpn),
        *(Tor, Iodine, Desync),
    )
}
# Seconds from the start to the first probe that comes through, where a kind needs more than PATIENCE: tor fetches what
# it must know of its network, and over a slow bridge that takes minutes the first time; desync searches.
SLOW: dict[str, float] = {"tor": 180.0, "desync": 30.0}
