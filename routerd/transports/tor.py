"""Tor, straight or over bridges, by Debian's tor and the helpers that are on the box. UDP is refused at once: TCP only.

Neither tor nor its helpers can set a mark, so the ruleset knows their packets by their user (Launch.marks). tor's
sandbox is off: it cannot be had together with helpers ("Managed proxies are not compatible with Sandbox mode").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import ClassVar
from urllib.parse import urlsplit

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Helper, Launch, Upstream
from routerd.transports.doors import ANY_PORT, FIRST_PORT, Ports, anywhere, tproxy, upstreams

LYREBIRD = "lyrebird"  # obfs4proxy's heir, which carries them all
HELPERS = {
    "obfs4": ("obfs4proxy", LYREBIRD),
    "meek_lite": ("obfs4proxy", LYREBIRD),
    "snowflake": ("snowflake-client", LYREBIRD),
    "webtunnel": ("webtunnel-client", LYREBIRD),  # Debian 13 and older have neither
}
HIDDEN = ("meek_lite", "snowflake", "webtunnel")  # their lines' addresses are placeholders, and they look up names
HTTPS: Ports = (443, 443)


@dataclass(frozen=True, slots=True)
class Bridge:
    """One bridge line. `by`: the helper's name, empty for a plain bridge. `fingerprint`: 40 hex digits, or empty."""

    by: str
    address: str
    port: int
    fingerprint: str = field(default="", repr=False)
    arguments: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def line(self) -> str:
        place = f"[{self.address}]" if ":" in self.address else self.address
        arguments = [f"{key}={value}" for key, value in self.arguments]
        return " ".join(filter(None, (self.by, f"{place}:{self.port}", self.fingerprint, *arguments)))

    @property
    def told(self) -> Bridge:
        """What its helper is told. Debian 12's snowflake-client (2.5.1) knows no fronts=, and would go unfronted."""
        known = dict(self.arguments)
        if "fronts" not in known:
            return self
        front = {"front": known.pop("fronts").partition(",")[0]}
        return replace(self, arguments=tuple((known | front).items()))

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        match self.by:
            case "snowflake":
                return (*anywhere("tcp", HTTPS), *anywhere("udp", ANY_PORT))
            case "webtunnel" if at := dict(self.arguments).get("addr"):
                place = urlsplit(f"//{at}")
                return upstreams(place.hostname or "", ((place.port or 443,) * 2,), "tcp")
            case "meek_lite" | "webtunnel":
                port = urlsplit(dict(self.arguments).get("url", "")).port or 443
                return anywhere("tcp", (port, port))
            case _:
                return upstreams(self.address, ((self.port, self.port),), "tcp")


@dataclass(frozen=True, slots=True)
class Tor:
    """`bridges`: none for the relays that everybody knows, and that a censor knows too."""

    kind: ClassVar[str] = "tor"
    engine: ClassVar[Engine] = Engine("tor")
    carries: ClassVar[Carries] = Carries(udp=False, quic=False)

    bridges: tuple[Bridge, ...] = ()

    @property
    def server(self) -> str:
        """The first bridge's address; of no machine where there is none to speak of."""
        known = (bridge.address for bridge in self.bridges if bridge.by not in HIDDEN)
        return next(known, str(IPv4Address(0)))

    @property
    def port(self) -> int:
        return next((bridge.port for bridge in self.bridges if bridge.by not in HIDDEN), 443)

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        """`via` is UPSTREAM_SLOT: what marks nothing cannot travel inside another (chain.py)."""
        return Launch(
            name,
            slot,
            ("tor", "-f", "-"),
            tproxy(slot, self.carries),
            self._upstreams(),
            stdin="\n".join(self._torrc(slot)) + "\n",
            marks=False,
            asks=any(bridge.by in HIDDEN for bridge in self.bridges),
            keeps=True,
            helpers=tuple(helper(by, self.bridges) for by in HELPERS if any(by == each.by for each in self.bridges)),
            needs_one=bool(self.bridges) and all(each.by for each in self.bridges),
        )

    def _upstreams(self) -> tuple[Upstream, ...]:
        found = [upstream for bridge in self.bridges for upstream in bridge.upstreams]
        return tuple(dict.fromkeys(found)) if self.bridges else anywhere("tcp", ANY_PORT)

    def _torrc(self, slot: int) -> list[str]:
        return [
            # tor makes every path absolute, and its user may not pass the folders above; through this link it need not.
            f"DataDirectory /proc/self/cwd/tor-{slot}",
            "Log notice stderr",
            "SafeLogging 1",
            "AvoidDiskWrites 1",
            "ClientOnly 1",
            "SocksPort 0",
            f"TransPort 127.0.0.1:{FIRST_PORT + slot}",
            f"TransPort [::1]:{FIRST_PORT + slot}",
            "TransProxyType TPROXY",
            "ClientUseIPv6 1",
            *(["UseBridges 1"] if self.bridges else ["NoExec 1"]),
            *(f"Bridge {bridge.line}" for bridge in self.bridges if not bridge.by),
        ]


def helper(by: str, bridges: Iterable[Bridge]) -> Helper:
    lines = [f"Bridge {bridge.told.line}" for bridge in bridges if bridge.by == by]
    return Helper(f"{by} bridges", HELPERS[by], "\n".join([f"ClientTransportPlugin {by} exec {{}}", *lines]) + "\n")
