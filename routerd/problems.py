"""Problems as declared constants: what they are called, what cures them, and when they are worth a person's attention.

The model is Tailscale's health package: a code never changes, a consequence is hidden where its cause is shown, and
what heals by itself within seconds is not shown at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Declared:
    """`hidden_by`: codes of causes; while one of them is shown this is not. `after`: seconds before it is shown."""

    severity: Severity
    title: str
    cure: str
    hidden_by: tuple[str, ...] = ()
    after: float = 0.0


LINE = ("wan_down", "no_lease")  # without a line nothing can be said about anybody else
EVERYBODY = (*LINE, "captive_portal", "national_network_only", "clock_wrong")
GOES_THROUGH = "Nothing to do: the transport carries it"

# Verdicts of diagnosis.py, on a host or on a transport's server. The titles fit both.
VERDICTS: Mapping[str, Declared] = {
    "wan_down": Declared("error", "The line to your provider is down", "Check the cable and the modem"),
    "no_lease": Declared("error", "Your provider gives no address", "Restart the modem; ask the provider", after=5.0),
    "captive_portal": Declared(
        "error", "The network wants a login first", "Open http://neverssl.com from a device on the WAN side", LINE, 5.0
    ),
    "clock_wrong": Declared("error", "The box's clock is wrong", "Set the date", LINE, 5.0),
    "national_network_only": Declared(
        "error", "Only domestic addresses answer", "Wait: it keeps trying; add a transport of another kind", LINE, 10.0
    ),
    "dns_tampered": Declared("warning", "Names are answered with lies", GOES_THROUGH, EVERYBODY, 5.0),
    "ip_blocked": Declared("warning", "The address is blocked", "Use another address or transport", EVERYBODY, 5.0),
    "port_blocked": Declared("warning", "The port is blocked", "Use another port or transport", EVERYBODY, 5.0),
    "tcp_reset_on_sni": Declared(
        "warning", "Connections are reset when the name is seen", "Use another name (SNI) or transport", EVERYBODY, 5.0
    ),
    "silent_drop_after_clienthello": Declared(
        "warning", "Connections fall silent when the name is seen", "Use another name or transport", EVERYBODY, 5.0
    ),
    "udp_blocked": Declared("warning", "UDP is blocked", "Use a transport over TCP", EVERYBODY, 5.0),
    "throttled": Declared("warning", "Connections are slowed down", "Use another transport", EVERYBODY, 10.0),
    "frozen_after_n_kb": Declared(
        "warning", "Connections freeze after some kilobytes", "Use another transport", EVERYBODY, 10.0
    ),
    "tls_intercepted": Declared(
        "error", "Somebody answers with a forged certificate", "Enter no password without the box", EVERYBODY
    ),
    "block_page": Declared("warning", "A block page is shown instead", GOES_THROUGH, EVERYBODY, 5.0),
    "http_blocked": Declared("warning", "Plain HTTP is cut off", "Use https://", EVERYBODY, 5.0),
    "server_dead_for_everyone": Declared(
        "warning", "The server is down for everyone", "Start the server, or remove the transport", EVERYBODY, 5.0
    ),
    "target_down": Declared("info", "It is down for everyone", "Wait: this is not the network", EVERYBODY, 5.0),
    "not_blocked": Declared("info", "Nothing is in its way", "Nothing to do"),
    "inconclusive": Declared("info", "The cause cannot be told", "Try again when a transport is up"),
}


def visible(present: Mapping[str, float], declared: Mapping[str, Declared], now: float) -> tuple[str, ...]:
    """Of the codes that are `present` (each since when), those to show now."""
    ripe = [code for code, since in present.items() if now >= since + declared[code].after]
    return tuple(code for code in ripe if not is_hidden(code, ripe, declared))


def is_hidden(code: str, shown: Iterable[str], declared: Mapping[str, Declared]) -> bool:
    """A cause that is itself not shown hides nothing."""
    return not set(declared[code].hidden_by).isdisjoint(shown)
