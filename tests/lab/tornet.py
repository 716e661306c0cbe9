"""A private Tor network: an authority and two relays, exits all three, on one machine, and a bridge on another.

The bridge takes plain connections, and obfs4. All is ready half a minute after its start, and takes 150 MB. The product's
tor is told of it as any box may tell its tor something: by /etc/tor/torrc-defaults, in the router's own file system.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .capture import Allowed
from .lab import Lab
from .net import Host, wait_until
from .topology import server_host

RELAYS4, RELAYS6 = "203.0.113.40", "2001:db8:113::40"
BRIDGE4, BRIDGE6 = "203.0.113.41", "2001:db8:113::41"
OBFS4_PORT, BRIDGE_PORT = 443, 5101
RELAYS = {"authority": 5001, "first": 5002, "second": 5003}
READY_SECONDS = 150.0
COMMON = """
TestingTorNetwork 1
Log notice stdout
SocksPort 0
AssumeReachable 1
PathsNeededToBuildCircuits 0.67
"""
AUTHORITY = """
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ContactInfo lab@example.com
TestingV3AuthInitialVotingInterval 20 seconds
TestingV3AuthInitialVoteDelay 4 seconds
TestingV3AuthInitialDistDelay 4 seconds
V3AuthVotingInterval 30 seconds
V3AuthVoteDelay 5 seconds
V3AuthDistDelay 5 seconds
TestingDirAuthVoteExit *
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
DirPort 7001
"""
EXIT = """
ExitRelay 1
IPv6Exit 1
ExitPolicyRejectPrivate 0
ExitPolicy accept *:*
"""
BRIDGE = f"""
BridgeRelay 1
PublishServerDescriptor 0
ExitRelay 0
ExtORPort auto
ORPort [{BRIDGE6}]:{BRIDGE_PORT}
ServerTransportPlugin obfs4 exec /usr/bin/obfs4proxy
ServerTransportListenAddr obfs4 {BRIDGE4}:{OBFS4_PORT}
"""


@dataclass(slots=True)
class TorNet:
    """`plain`, `plain6`, `obfs4`: the bridge's lines. `allowed`: what a household may send to the relays."""

    relays: Host
    bridge: Host
    authority: str
    obfs4: str = ""
    plain: str = ""
    plain6: str = ""
    fingerprint: str = ""

    @classmethod
    def up(cls, lab: Lab) -> "TorNet":
        relays, bridge = server_host(lab.net, "tor-relays", 40), server_host(lab.net, "tor-bridge", 41)
        net = cls(relays, bridge, _authority(relays))
        for name, port in RELAYS.items():
            _tor(relays, name, f"{net.authority}Address {RELAYS4}\nORPort {RELAYS4}:{port}\n{EXIT}{AUTHORITY if name == 'authority' else ''}")
        # Who comes while a consensus lacks relays keeps it for too long: on a busy machine the first one often does.
        wait_until(net._agreed, READY_SECONDS, f"a consensus; see {relays.directory}", 0.2)
        _tor(bridge, "bridge", f"{net.authority}Address {BRIDGE4}\nORPort {BRIDGE4}:{BRIDGE_PORT}\n{BRIDGE}")
        wait_until(lambda: "Bootstrapped 100%" in _log(bridge, "bridge"), READY_SECONDS, f"Tor; see {bridge.directory}", 0.2)
        net._read_lines()
        net.tell(lab.router)
        return net

    def _agreed(self) -> bool:
        file = self.relays.directory / "authority" / "cached-microdesc-consensus"
        return file.exists() and file.read_text().count("\nr ") == len(RELAYS)

    def tell(self, router: Host) -> None:
        """Which network the router's tor is to join."""
        text = self.authority + "TestingTorNetwork 1\nPathsNeededToBuildCircuits 0.67\n"
        router.run(["sh", "-ec", "mount -t tmpfs tmpfs /etc/tor; cat > /etc/tor/torrc-defaults"], input=text)

    def _read_lines(self) -> None:
        folder = self.bridge.directory / "bridge"
        fingerprint = self.fingerprint = (folder / "fingerprint").read_text().split()[1]
        cert = re.findall(r"cert=(\S+)", (folder / "pt_state" / "obfs4_bridgeline.txt").read_text())[-1]
        self.obfs4 = f"obfs4 {BRIDGE4}:{OBFS4_PORT} {fingerprint} cert={cert} iat-mode=0"
        self.plain = f"{BRIDGE4}:{BRIDGE_PORT} {fingerprint}"
        self.plain6 = f"[{BRIDGE6}]:{BRIDGE_PORT} {fingerprint}"

    @property
    def allowed(self) -> list[Allowed]:
        return [Allowed(RELAYS4, "tcp", port) for port in (*RELAYS.values(), 7001)]


def _authority(host: Host) -> str:
    """Makes its keys; the line that everybody else knows it by."""
    folder = host.directory / "authority"
    (folder / "keys").mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    files = ["-i", "authority_identity_key", "-s", "authority_signing_key", "-c", "authority_certificate"]
    argv = ["tor-gencert", "--create-identity-key", "-m", "12", "-a", f"{RELAYS4}:7001", "--passphrase-fd", "0", *files]
    host.run(argv, input="lab\n", cwd=folder / "keys", timeout=60)
    found = re.search(r"^fingerprint (\w+)", (folder / "keys" / "authority_certificate").read_text(), re.MULTILINE)
    assert found
    config = f"ORPort 1\nDataDirectory {folder}\nDirAuthority x 127.0.0.1:1 {'f' * 40}\nNickname authority\n"
    listed = host.run(["tor", "--list-fingerprint", "-f", "-"], input=config)
    own = listed.stdout.strip().splitlines()[-1].partition(" ")[2].replace(" ", "")
    return f"DirAuthority authority orport={RELAYS['authority']} no-v2 v3ident={found[1]} {RELAYS4}:7001 {own}\n"


def _tor(host: Host, name: str, text: str) -> subprocess.Popen[str]:
    folder = host.directory / name
    config = host.directory / f"{name}.torrc"
    config.write_text(f"{COMMON}Nickname {name}\nDataDirectory {folder}\n{text}")
    return host.popen(["tor", "-f", str(config)], log=name)


def _log(host: Host, name: str) -> str:
    file: Path = host.directory / f"{name}.log"
    return file.read_text() if file.exists() else ""
