"""SSH: any shell account's port forwarding, by sing-box. It carries TCP and nothing else.

The server must show one of the keys that are known of it: else whoever stands on the way could be it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch
from routerd.transports import singbox
from routerd.transports.doors import upstreams

# Kinds of host keys, and the signatures to ask for: a server shows the first that it has, and it has several keys.
HOST_KEYS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
BEGIN, END = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class Ssh:
    """`host_keys`: kind and base64, as in known_hosts. `private_key`: base64 of an OpenSSH key without passphrase."""

    kind: ClassVar[str] = "ssh"
    engine: ClassVar[Engine] = singbox.ENGINE
    carries: ClassVar[Carries] = Carries(udp=False)

    server: str
    port: int
    user: str
    host_keys: tuple[str, ...]
    password: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        outbound: singbox.Json = {
            "type": "ssh",
            "server": self.server,
            "server_port": self.port,
            "user": self.user,
            "host_key": list(self.host_keys),
            "host_key_algorithms": [name for key in self.host_keys for name in HOST_KEYS[key.partition(" ")[0]]],
        }
        outbound |= {"password": self.password} if self.password else {}
        outbound |= {"private_key": [BEGIN, self.private_key, END]} if self.private_key else {}
        return singbox.launch(
            name, slot, outbound, upstreams(self.server, ((self.port, self.port),), "tcp"), self.carries, via
        )
