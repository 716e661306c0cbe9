"""The lab as a whole: `with Lab.up() as lab:` and everything hangs on it."""

import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from . import front, internet, moat, panel, pki, snowflake, topology, webtunnel
from .capture import Allowed, Capture, upstreams
from .censor import Control
from .net import Host, Net, wait_until
from .recipes import RECIPES
from .servers import Server, make_server
from .tunnels import TUNNELS

READY_SECONDS = 15.0


def _server_names() -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {
        f"{name}.servers.example": (f"203.0.113.{number}", f"2001:db8:113::{number}")
        for name, (number, _) in (RECIPES | TUNNELS).items()}
    ours = {one.NAME: (one.ADDRESS4,) for one in (front, moat, panel, webtunnel)}
    return {**names, **ours, snowflake.STUN: (snowflake.SERVER4,), panel.AT_HOME: (topology.LAN_ROUTER4,)}


@dataclass(slots=True)
class Lab:
    """Hosts by attribute or by name; `token` is the run's canary."""

    net: Net
    ca: pki.Authority
    token: str
    names: internet.Names
    censor: Control
    made: dict[str, Server] = field(default_factory=dict)

    @classmethod
    def up(cls, servers: Iterable[str] = ()) -> "Lab":
        """Bring it up. `servers` are started at once; others start when first asked for."""
        net = Net.new()
        try:
            return cls._up(net, tuple(servers))
        except BaseException:
            net.close()
            raise

    @classmethod
    def _up(cls, net: Net, servers: tuple[str, ...]) -> "Lab":
        ca = pki.authority(net.directory)
        topology.build(net)
        names = internet.true_names(_server_names())
        lab = cls(net, ca, f"cw{secrets.token_hex(8)}", names, Control(net.hosts["isp"], net.hosts["domestic"], names))
        lab._start_internet()
        lab.start_servers(servers)
        wait_until(lab._ready, READY_SECONDS, f"sites and resolvers up; see {net.directory}")
        return lab

    def _start_internet(self) -> None:
        files = internet.blobs(self.directory)
        for host, domestic in ((self.sites, False), (self.domestic, True)):
            sites = [site for site in topology.SITES if site.domestic is domestic]
            internet.start_sites(host, sites, self.ca, files, self.token)
        internet.start_udp_service(self.sites, self.token)
        internet.start_resolver(self.resolvers, 0, self.names, self.ca)
        internet.start_resolver(self.resolvers, 1, self.names, self.ca)
        self.censor.prepare()

    def _ready(self) -> bool:
        return (self.sites.listens("tcp", 443) and self.domestic.listens("tcp", 443) and self.sites.listens("udp", 7)
                and self.resolvers.listens("tcp", 853) and self.resolvers.listens("tcp", 443)
                and self.domestic.listens("udp", 53))

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End every program, host and wire, and remove the directory (CLEARWAY_LAB_KEEP=1 keeps it)."""
        self.net.close()

    def server(self, name: str) -> Server:
        """The transport server of this kind, started; a key of recipes.RECIPES."""
        self.start_servers((name,))
        return self.made[name]

    def start_servers(self, names: Iterable[str]) -> None:
        """Make and start several at once; those that run are left alone."""
        new = [name for name in names if name not in self.made]
        with ThreadPoolExecutor() as pool:
            self.made.update(zip(new, pool.map(lambda name: make_server(self.net, self.ca, name), new), strict=True))
            list(pool.map(lambda name: self.made[name].start(), new))

    def capture(self, allowed: Iterable[Server | Allowed] = (), tokens: Iterable[str] = (),
                bulk: bool = False) -> Capture:
        """Start a capture on the ISP's wire; see capture.Capture."""
        flat = [one for item in allowed for one in (upstreams(item) if isinstance(item, Server) else (item,))]
        return Capture.start(self.isp, self.router, flat, (self.token, *tokens), bulk)

    def iperf_server(self, port: int = 5201) -> str:
        """Start an iperf3 server on blocked.example's machine (it ends with the lab); its IPv4 address."""
        self.sites.popen(["iperf3", "-s", "-p", str(port)], log=f"iperf3-{port}")
        wait_until(lambda: self.sites.listens("tcp", port), READY_SECONDS, "iperf3 listens")
        return topology.SITE["blocked.example"].address4

    def page_token(self, site: str) -> str:
        """What the page of this site (or `udp`: the UDP service's answer) contains."""
        return internet.page_token(self.token, site)

    @property
    def directory(self) -> Path:
        return self.net.directory

    @property
    def ca_file(self) -> Path:
        return self.ca.file

    @property
    def phone(self) -> Host:
        return self.net.hosts["phone"]

    @property
    def laptop(self) -> Host:
        return self.net.hosts["laptop"]

    @property
    def tv(self) -> Host:
        return self.net.hosts["tv"]

    @property
    def router(self) -> Host:
        return self.net.hosts["router"]

    @property
    def isp(self) -> Host:
        return self.net.hosts["isp"]

    @property
    def domestic(self) -> Host:
        return self.net.hosts["domestic"]

    @property
    def exchange(self) -> Host:
        return self.net.hosts["exchange"]

    @property
    def sites(self) -> Host:
        return self.net.hosts["sites"]

    @property
    def resolvers(self) -> Host:
        return self.net.hosts["resolvers"]

    @property
    def servers(self) -> Host:
        return self.net.hosts["servers"]
