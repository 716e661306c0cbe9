"""Amnezia's keys: vpn:// and base64url of Qt's qCompress (four bytes of length, then zlib) of JSON, or of JSON itself.

The JSON holds a container for each protocol, and in it a wg-quick file, an .ovpn file, or an Xray configuration.
"""

from __future__ import annotations

import json
import zlib

from routerd.links import wall, xray
from routerd.links.document import Json, Piece, child, items, text
from routerd.links.wall import LinkError

LARGEST = 1 << 20  # bytes of JSON, after decompression
# By container. One of OpenVPN inside Cloak or Shadowsocks is not here: its server cannot be reached without them.
PROTOCOLS = {
    "amnezia-wireguard": "wireguard",
    "amnezia-awg": "awg",
    "amnezia-awg2": "awg",
    "amnezia-openvpn": "openvpn",
    "amnezia-xray": "xray",
}
NOT_A_KEY = "The Amnezia key is damaged: base64 of compressed JSON is needed."
NO_WAY = "The Amnezia key has nothing that can be carried: WireGuard, AmneziaWG, OpenVPN or Xray is needed."


def opened(line: str) -> Piece:
    try:
        return opened_json(read(line), line)
    except LinkError as e:
        return Piece(line, reason=e.reason)


def opened_json(key: Json, shown: str) -> Piece:
    """One key is one transport: its default container, or else the first one that can be used."""
    try:
        return Piece(shown, chosen(key), name=text(key, "description"))
    except LinkError as e:
        return Piece(shown, reason=e.reason)


def read(line: str) -> Json:
    data = wall.base64("".join(line.partition("://")[2].split()), "Amnezia key")
    found = parsed(data if data[:1] == b"{" else inflated(data[4:]))
    if not found:
        raise LinkError(NOT_A_KEY)
    return found


def inflated(data: bytes) -> bytes:
    engine = zlib.decompressobj()
    try:
        found = engine.decompress(data, LARGEST)
    except zlib.error:
        raise LinkError(NOT_A_KEY) from None
    if engine.unconsumed_tail or not engine.eof:
        raise LinkError("The Amnezia key is larger than it may be, or cut off.")
    return found


def chosen(key: Json) -> str:
    if text(key, "api_key", "api_endpoint") or child(key, "api_config"):
        raise LinkError("The key is for Amnezia's own service, which only its app can ask; one of a server is needed.")
    default = text(key, "defaultContainer")
    containers = [each for each in items(key, "containers") if isinstance(each, dict)]
    containers.sort(key=lambda each: text(each, "container") != default)
    for container in containers:
        if found := held(container, text(key, "description")):
            return found
    raise LinkError(NO_WAY)


def held(container: Json, name: str) -> str:
    """The file or the link in a container; "" where there is none that can be used."""
    protocol = PROTOCOLS.get(text(container, "container"), "")
    found = parsed(text(child(container, protocol), "last_config"))
    if protocol == "xray":
        return next((piece.text for piece in xray.pieces(found | {"remarks": name}) if piece.text), "")
    return text(found, "config")


def parsed(config: str | bytes) -> Json:
    try:
        found = json.loads(config)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}
