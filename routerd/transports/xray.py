"""What every Xray child has in common (schema 26.x): one outbound behind a dokodemo-door, and the streams it rides on.

No DNS, no sniffing, no routing: the destination is the address that the household chose, and the first outbound takes
everything. UDP is full-cone by default (XUDP for VLESS and VMess).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

from routerd.model import Carries, Engine, Launch, Upstream, mark
from routerd.transports.doors import Proto, tproxy

Json = dict[str, object]

ENGINE = Engine("xray")

# Seconds of silence. The default idle of 300 would cut the push channels of telephones, which speak every 15 to
# 28 minutes; UDP has its own two minutes (app/proxyman/inbound/worker.go), so a long idle costs nothing there. Xray
# passes no FIN on: the household sees a site's end of stream `uplinkOnly` later, so that is 0; half-closed gets 30.
TIMEOUTS = {"handshake": 8, "connIdle": 1800, "uplinkOnly": 0, "downlinkOnly": 30}

SOCKOPT: Json = {
    "tcpKeepAliveIdle": 30,
    "tcpKeepAliveInterval": 10,
    "tcpUserTimeout": 15000,  # milliseconds: a server that answers nothing is given up, SYN included
}


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS in a browser's clothes. `pins`: SHA-256 of the certificate, in hex, in place of the authorities."""

    sni: str
    fingerprint: str = "chrome"
    alpn: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # that the certificate may carry instead of `sni`


@dataclass(frozen=True, slots=True)
class Reality:
    """REALITY: the handshake of `sni`'s own site. `public_key` is base64url, `short_id` is hex."""

    sni: str
    public_key: str
    short_id: str = ""
    spider: str = "/"
    fingerprint: str = "chrome"
    mldsa65: str = ""


@dataclass(frozen=True, slots=True)
class WebSocket:
    path: str = "/"
    host: str = ""


@dataclass(frozen=True, slots=True)
class HttpUpgrade:
    path: str = "/"
    host: str = ""


@dataclass(frozen=True, slots=True)
class Grpc:
    """`multi`: several messages in one, which only Xray's own server understands."""

    service: str = ""
    authority: str = ""
    multi: bool = False


@dataclass(frozen=True, slots=True)
class Xhttp:
    """`extra`: further members as JSON text, judged one by one in links/xhttp.py."""

    path: str = "/"
    host: str = ""
    mode: str = "auto"
    extra: str = ""


Security = Tls | Reality | None
Network = WebSocket | HttpUpgrade | Grpc | Xhttp | None  # None: plain TCP


def tls_settings(tls: Tls) -> Json:
    optional: Json = {
        "alpn": list(tls.alpn),
        "pinnedPeerCertSha256": ",".join(tls.pins),
        "verifyPeerCertByName": ",".join(tls.names),
    }
    settings: Json = {"serverName": tls.sni, "fingerprint": tls.fingerprint}
    return settings | {key: value for key, value in optional.items() if value}


def reality_settings(reality: Reality) -> Json:
    settings: Json = {
        "serverName": reality.sni,
        "fingerprint": reality.fingerprint,
        "password": reality.public_key,
        "shortId": reality.short_id,
        "spiderX": reality.spider,
    }
    return settings | ({"mldsa65Verify": reality.mldsa65} if reality.mldsa65 else {})


def secured(security: Security) -> Json:
    match security:
        case Tls():
            return {"security": "tls", "tlsSettings": tls_settings(security)}
        case Reality():
            return {"security": "reality", "realitySettings": reality_settings(security)}
        case None:
            return {"security": "none"}


def carried(network: Network) -> Json:
    match network:
        case WebSocket(path, host):
            return {"network": "ws", "wsSettings": {"path": path} | ({"host": host} if host else {})}
        case HttpUpgrade(path, host):
            return {"network": "httpupgrade", "httpupgradeSettings": {"path": path} | ({"host": host} if host else {})}
        case Grpc(service, authority, multi):
            return {
                "network": "grpc",
                "grpcSettings": {"serviceName": service, "authority": authority, "multiMode": multi},
            }
        case Xhttp(path, host, mode, extra):
            more = json.loads(extra) if extra else {}
            return {"network": "xhttp", "xhttpSettings": {**more, "path": path, "host": host, "mode": mode}}
        case None:
            return {"network": "raw"}


def stream(network: Network, security: Security) -> Json:
    """The `streamSettings` of an outbound, but for its sockets' options: `launch` adds those."""
    return carried(network) | secured(security)


def proto(network: Network, security: Security) -> Proto:
    """What the engine's own packets are: XHTTP that offers HTTP/3 and nothing else runs over QUIC."""
    quic = isinstance(network, Xhttp) and isinstance(security, Tls) and security.alpn == ("h3",)
    return "udp" if quic else "tcp"


def inbound(listen: str, port: int) -> Json:
    return {
        "tag": f"in-{listen}",
        "listen": listen,
        "port": port,
        "protocol": "dokodemo-door",
        "settings": {"network": "tcp,udp", "followRedirect": True},
        "streamSettings": {"sockopt": {"tproxy": "tproxy"}},
    }


def dialled(outbound: Json, via: int) -> Json:
    """The outbound, with its sockets' options."""
    # `mark` is an int32 there (infra/conf/transport_sockopt.go): slots stay under 0x80.
    stream: Json = {**cast(Json, outbound["streamSettings"]), "sockopt": {**SOCKOPT, "mark": mark(via)}}
    return {"tag": "out", **outbound, "streamSettings": stream}


def launch(name: str, slot: int, outbound: Json, upstreams: tuple[Upstream, ...], carries: Carries, via: int) -> Launch:
    """An Xray child whose only way out is `outbound`, by the mark of the slot `via`."""
    door = tproxy(slot, carries)
    config = {
        "log": {"access": "none", "loglevel": "none"},
        "policy": {"levels": {"0": TIMEOUTS}},
        "inbounds": [inbound("127.0.0.1", door.port), inbound("::1", door.port)],
        "outbounds": [dialled(outbound, via)],
    }
    return Launch(name, slot, ("xray", "run", "-c", "stdin:"), door, upstreams, stdin=json.dumps(config))
