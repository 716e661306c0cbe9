"""vless:// links (XTLS/Xray-core, discussion 716)."""

from __future__ import annotations

import re

from routerd.links import stream, wall
from routerd.links.uri import decoded, server, split, written
from routerd.links.wall import LinkError
from routerd.transports.vless import FLOWS, Vless

# infra/conf/vless.go: method.mode.rtt and then paddings and public keys
ENCRYPTION = re.compile(r"none|mlkem768x25519plus\.(native|xorpub|random)\.(1rtt|0rtt)(\.[A-Za-z0-9_-]{1,2000}){1,16}")


def vless(text: str) -> tuple[str, Vless]:
    uri = split(text)
    host, port = server(uri)
    encryption = uri.query.get("encryption") or "none"
    if not ENCRYPTION.fullmatch(encryption):
        raise LinkError("The VLESS encryption is not one that is supported; allowed: none, mlkem768x25519plus.….")
    security, network = stream.riding(uri.query, host, "none")
    flow = wall.one_of(uri.query.get("flow", ""), FLOWS, "flow (flow=)")
    if security is None and encryption == "none":
        raise LinkError("The link has no encryption at all: security=tls or security=reality is needed.")
    if flow and (network or security is None):
        raise LinkError("The Vision flow needs plain TCP with TLS or REALITY.")
    return uri.name, Vless(host, port, wall.uuid(decoded(uri.userinfo)), security, network, flow, encryption)


def vless_link(name: str, transport: Vless) -> str:
    query = {"encryption": transport.encryption} | stream.query_of(transport.security, transport.network)
    place = (transport.server, transport.port)
    return written("vless", transport.uuid, place, query | {"flow": transport.flow}, name)
