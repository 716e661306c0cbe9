"""What a transport server's recipe is, and what the recipes share. Secrets are made per run."""

import base64
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from .pki import Cert
from .topology import FRONT, SITE

Engine = Literal["sing-box", "xray", "wireguard", "amneziawg", "sshd", "openvpn", "iodined"]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a server sits: its address, the name its certificate carries, the certificate, and the CA's."""

    address4: str
    address6: str
    hostname: str
    cert: Cert
    ca: Path


@dataclass(frozen=True, slots=True)
class Recipe:
    """`link(host)` writes the share link with this host part; `client(host)` is the same engine's outbound.

    `behind`, `client_behind`: what the first one hands on to, as "in1" and "out1".
    """

    engine: Engine
    port: int
    protos: tuple[str, ...]
    inbound: Json
    client: Callable[[str], Json]
    link: Callable[[str], str]
    behind: tuple[Json, ...] = ()
    client_behind: Callable[[str], tuple[Json, ...]] = lambda host: ()


def bracket(host: str) -> str:
    """An IPv6 address as URLs want it."""
    return f"[{host}]" if ":" in host else host


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def xray(protocol: str, settings: Json, stream: Json, client_settings: Callable[[str], Json], client_stream: Json,
          link: Callable[[str], str]) -> Recipe:
    inbound = {"listen": "::", "port": 443, "protocol": protocol, "settings": settings, "streamSettings": stream}
    return Recipe("xray", 443, ("tcp",), inbound,
                  lambda host: {"protocol": protocol, "settings": client_settings(host),
                                "streamSettings": client_stream}, link)


def server_tls(seat: Seat, *alpn: str) -> Json:
    files = {"certificateFile": str(seat.cert.cert), "keyFile": str(seat.cert.key)}
    return {"security": "tls", "tlsSettings": {"certificates": [files], "alpn": list(alpn)}}


def client_tls(seat: Seat) -> Json:
    # This Xray looks at its built-in roots alone: SSL_CERT_FILE does nothing.
    trust = [{"usage": "verify", "certificateFile": str(seat.ca)}]
    return {"security": "tls", "tlsSettings": {"serverName": seat.hostname, "fingerprint": "chrome",
                                               "certificates": trust}}


def vless(seat: Seat, name: str, flow: str, server: Json, client: Json, query: Mapping[str, str]) -> Recipe:
    user = str(uuid.uuid4())
    extra = {"flow": flow} if flow else {}
    fields = urlencode({"encryption": "none", **extra, **query, "fp": "chrome"}, quote_via=quote)
    return xray("vless", {"clients": [{"id": user, **extra}], "decryption": "none"}, server,
                 lambda host: {"vnext": [{"address": host, "port": 443,
                                          "users": [{"id": user, "encryption": "none", **extra}]}]},
                 client, lambda host: f"vless://{user}@{bracket(host)}:443?{fields}#{name}")


def reality() -> tuple[Json, Json, dict[str, str]]:
    """Of the server, of a client, of the link. Borrows front.example's handshake: a wrong key is shown that site."""
    key = X25519PrivateKey.generate()
    raw, form = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    private = key.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    public, short, front = url64(key.public_key().public_bytes(raw, form)), secrets.token_hex(4), SITE[FRONT]
    server = {"dest": f"{front.address4}:443", "serverNames": [front.name], "privateKey": url64(private),
              "shortIds": [short]}
    client = {"serverName": front.name, "publicKey": public, "shortId": short, "fingerprint": "chrome"}
    return ({"security": "reality", "realitySettings": server}, {"security": "reality", "realitySettings": client},
            {"security": "reality", "sni": front.name, "pbk": public, "sid": short})
