"""The peers: a router of its own beside ours, with one engine that chooses among the same lab's servers by itself.

Configured as their manuals say: a transparent inbound, the group, its probes to the lab's generate_204 (plain HTTP with
Xray, which trusts no other roots). Struck is whoever is in use when the censor comes; the site tells who that is. Each
strike finds a fresh engine, and names are not asked for: both in the peers' favour.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import ways
from bench.failover.household import Household
from bench.failover.measure import Struck, measure
from bench.failover.strikes import Scene, Strike
from routerd.transports import singbox, xray
from tests.lab import Host, Lab, LabError, Server, wait_until
from tests.lab.recipes import Json
from tests.lab.servers import run_engine
from tests.lab.topology import LAN_ROUTER4

PORT = 12399
PROBE = "//probe.example/generate_204"
WINDOW = 60.0  # seconds that it is given
SPREAD = 10.0  # seconds: the tuned interval
UDP = "hysteria2"
SING_BOX, XRAY = ("ss2022", "ss", UDP), ("trojan", "vless-ws", "vless-tls")


@dataclass(frozen=True, slots=True)
class Peer:
    """`config` gives the engine's whole configuration for these servers."""

    name: str
    engine: str
    servers: tuple[str, ...]
    config: Callable[[list[Server]], Json]


def _sing_box(**tuned: object) -> Callable[[list[Server]], Json]:
    def config(servers: list[Server]) -> Json:
        nodes = [{**server.recipe.client(server.address4), "tag": server.name} for server in servers]
        group = {"type": "urltest", "tag": "group", "outbounds": [server.name for server in servers],
                 "url": f"https:{PROBE}", **tuned}
        # What tests by name is resolved behind the exit.
        return {"log": {"level": "info"}, "inbounds": [singbox.inbound("127.0.0.1", PORT)],
                "outbounds": [group, *nodes], "route": {"final": "group"}}

    return config


def _xray(**tuned: object) -> Callable[[list[Server]], Json]:
    def config(servers: list[Server]) -> Json:
        inbound = xray.inbound("127.0.0.1", PORT)
        nodes = [{**server.recipe.client(server.address4), "tag": f"node-{server.name}"} for server in servers]
        balancer = {"tag": "group", "selector": ["node-"], "strategy": {"type": "leastPing"}}
        rule = {"type": "field", "inboundTag": [inbound["tag"]], "balancerTag": "group"}
        return {"log": {"loglevel": "info"}, "inbounds": [inbound], "outbounds": nodes,
                "routing": {"rules": [rule], "balancers": [balancer]},
                "observatory": {"subjectSelector": ["node-"], "probeURL": f"http:{PROBE}", **tuned}}

    return config


PEERS = (
    Peer("singbox", "sing-box", SING_BOX, _sing_box()),
    Peer("singbox-10s", "sing-box", SING_BOX, _sing_box(interval="10s")),
    Peer("xray", "xray", XRAY, _xray()),
    Peer("xray-10s", "xray", XRAY, _xray(probeInterval="10s", enableConcurrency=True)),
)


class WrongOneError(Exception):
    """The strike would hit a server that is not in use."""


@dataclass(slots=True)
class Theirs:
    """One peer on its router; the phone's route goes there."""

    lab: Lab
    peer: Peer
    host: Host
    household: Household
    child: subprocess.Popen[str] | None = field(default=None)

    def hit_by(self, strike: Strike) -> bool:
        """One process has nobody to take over from it; the servers that Xray knows need no UDP."""
        return strike.peers and (strike.name != "udp" or UDP in self.peer.servers)

    def strike(self, strike: Strike, _number: int) -> Struck:
        for _ in range(8):
            self._start()
            try:
                return measure(self.household, lambda: self._scene(strike), strike, SPREAD, WINDOW)
            except WrongOneError:
                continue
        raise LabError(f"{self.peer.name} would not use {UDP}")

    def _scene(self, strike: Strike) -> Scene:
        """Of this moment: by its own lights it may choose another one at any time."""
        seen = self.lab.phone.curl("http://198.51.100.10/ip", timeout=2).stdout.strip()
        used = next(server for server in self.servers if server.address4 == seen)
        if strike.name == "udp" and used.name != UDP:
            raise WrongOneError
        return Scene(self.lab, used, lambda: 0, f"bench{1 + PEERS.index(self.peer)}")

    @property
    def servers(self) -> list[Server]:
        return [self.lab.server(name) for name in self.peer.servers]

    def _start(self) -> None:
        self.stop()
        self.child = run_engine(self.host, self.peer.engine, self.peer.config(self.servers), self.peer.name)
        wait_until(lambda: self.host.listens("tcp", PORT), 10, f"{self.peer.name} listens; see {self.host.directory}")
        time.sleep(3)  # its first round of probes

    def stop(self) -> None:
        if self.child:
            self.child.kill()
            self.child.wait(5)
            self.child = None


@contextmanager
def theirs(lab: Lab, peer: Peer) -> Iterator[Theirs]:
    number = 1 + PEERS.index(peer)
    lab.start_servers(peer.servers)
    host = ways.router(lab, number, peer.name)
    host.sh(ways.TPROXY.replace("PORT", str(PORT)))
    ways.via(lab, f"192.168.77.{100 + number}")
    with Household(lab) as household:
        made = Theirs(lab, peer, host, household)
        try:
            yield made
        finally:
            made.stop()
            ways.via(lab, LAN_ROUTER4)
