"""OpenVPN by its own program, as a link: it addresses its interface as the server says, the box routes and judges.

Of what a server pushes only the addresses and the terms of the connection are taken. No script is ever run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from routerd.model import UPSTREAM_SLOT, Carries, Engine, Launch, Link, mark
from routerd.transports.doors import upstreams

Proto = Literal["udp", "tcp"]
Control = Literal["tls-auth", "tls-crypt", "tls-crypt-v2"]

MTU = 1400  # of what goes in: with OpenVPN's own bytes and the headers around, it fits a line of 1500
# Prefixes of what a server may push. No routes, no names, no environment; `push-continuation` joins long answers.
PUSHED = (
    *("ifconfig ", "ifconfig-ipv6 ", "topology ", "peer-id ", "cipher ", "auth-token", "ping", "protocol-flags "),
    *("key-derivation ", "compress", "comp-lzo", "tun-mtu ", "push-continuation "),
)
OURS = (
    *("client", "dev-type tun", "nobind", "persist-key", "persist-tun", "route-noexec", "script-security 0"),
    *("errors-to-stderr", "suppress-timestamps", "verb 1", "disable-dco", "allow-compression asym"),
    # Its first try may come before the way out is there: again soon, and never so rarely that the watchdog gives up.
    *("connect-retry 1 4", "connect-timeout 8", "hand-window 15", "resolv-retry 0", "ping 10", "ping-restart 40"),
)


@dataclass(frozen=True, slots=True)
class OpenVpn:
    """Certificates and keys are PEM. `options`: the directives, and their words, that the server's owner chose.

    `control`: what the control channel is wrapped in, with its key and `direction` ("", "0" or "1").
    """

    kind: ClassVar[str] = "openvpn"
    engine: ClassVar[Engine] = Engine("openvpn")
    carries: ClassVar[Carries] = Carries()

    server: str
    port: int
    proto: Proto
    ca: str
    certificate: str = ""
    private_key: str = field(default="", repr=False)
    control: Control | None = None
    control_key: str = field(default="", repr=False)
    direction: str = ""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    options: tuple[tuple[str, ...], ...] = ()
    mtu: int = MTU

    def launch(self, name: str, slot: int, via: int = UPSTREAM_SLOT) -> Launch:
        allowed = upstreams(self.server, ((self.port, self.port),), self.proto)
        link = Link(f"cw-{slot}", (), self.mtu, families=(4, 6))
        return Launch(name, slot, ("openvpn", "--config", "stdin"), link, allowed, self._config(slot, via))

    def _config(self, slot: int, via: int) -> str:
        family = "6" if ":" in self.server else "4"
        lines = [
            *OURS,
            f"dev cw-{slot}",
            f"mark {mark(via)}",
            f"remote {self.server} {self.port} {self.proto}{family}{'-client' if self.proto == 'tcp' else ''}",
            *written(self.options),
            *(f'pull-filter accept "{text}"' for text in PUSHED),
            'pull-filter ignore ""',
            *([f"key-direction {self.direction}"] if self.direction else []),
            *blocks(self),
        ]
        return "\n".join(lines) + "\n"


def blocks(of: OpenVpn) -> list[str]:
    """The files, inline."""
    login = f"{of.user}\n{of.password}" if of.user else ""
    found = {"ca": of.ca, "cert": of.certificate, "key": of.private_key, of.control or "": of.control_key}
    found |= {"auth-user-pass": login}
    return [f"<{tag}>\n{text.strip(chr(10))}\n</{tag}>" for tag, text in found.items() if tag and text]


def written(options: tuple[tuple[str, ...], ...]) -> list[str]:
    """Each word in quotes where it needs them; a quote or a backslash is in none of them."""
    return [" ".join(f'"{word}"' if " " in word else word for word in words) for words in options]
