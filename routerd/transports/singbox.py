"""What every sing-box child has in common (schema 1.13 and 1.14): one outbound behind a tproxy inbound, nothing else.

No DNS, no sniffing, no interface detection: the destination is the address that the household chose.
"""

from __future__ import annotations

import json

from routerd.model import Launch, Upstream, mark
from routerd.transports.doors import tproxy

# RFC 4787, REQ-5: a UDP mapping lives two minutes at least. sing-box would keep it five.
UDP_TIMEOUT = "2m"

DIAL = {
    "connect_timeout": "5s",
    "tcp_keep_alive": "30s",
    "tcp_keep_alive_interval": "10s",
}


def inbound(listen: str, port: int) -> dict[str, object]:
    return {
        "type": "tproxy",
        "tag": f"in-{listen}",
        "listen": listen,
        "listen_port": port,
        "udp_timeout": UDP_TIMEOUT,
    }


def launch(name: str, slot: int, outbound: dict[str, object], upstreams: tuple[Upstream, ...], via: int) -> Launch:
    """A sing-box child whose only way out is `outbound`, by the mark of the slot `via`."""
    door = tproxy(slot)
    config = {
        # At "error" sing-box writes down where the household wanted to go; "fatal" keeps the reasons for not starting.
        "log": {"level": "fatal"},
        "inbounds": [inbound("127.0.0.1", door.port), inbound("::1", door.port)],
        "outbounds": [{"tag": "out", **outbound, **DIAL, "routing_mark": mark(via)}],
    }
    return Launch(name, slot, ("sing-box", "run", "-c", "stdin"), door, upstreams, stdin=json.dumps(config))
