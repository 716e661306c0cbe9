"""ss:// links: SIP002, plain for the 2022 ciphers (SIP022), and the old form that is base64 from end to end.

Outline's `prefix` is passed over: it changes what a censor sees, not what the server needs (docs/decisions/0013).
"""

from __future__ import annotations

from base64 import b64encode

from routerd.links import sip003, wall
from routerd.links.shadowtls import PLUGINS, inside, userinfo
from routerd.links.uri import Uri, decoded, server, split, written
from routerd.links.wall import LinkError
from routerd.transports.shadowsocks import METHODS, METHODS_2022, Shadowsocks
from routerd.transports.shadowtls import ShadowTls

ALIASES = {
    "chacha20-poly1305": "chacha20-ietf-poly1305",
    "xchacha20-poly1305": "xchacha20-ietf-poly1305",
    "aead_aes_128_gcm": "aes-128-gcm",
    "aead_aes_256_gcm": "aes-256-gcm",
    "aead_chacha20_poly1305": "chacha20-ietf-poly1305",
}


def shadowsocks(text: str) -> tuple[str, Shadowsocks | ShadowTls]:
    uri = split(unwrapped(text))
    if uri.query.get("shadow-tls"):
        raise LinkError("The link has ShadowTLS in Shadowrocket's form; ask for one with plugin=shadow-tls.")
    host, port = server(uri)
    method, password = credentials(uri)
    plugin = uri.query.get("plugin", "")
    if plugin.partition(";")[0] in PLUGINS:
        return uri.name, inside(plugin, Shadowsocks(host, port, method, password))
    name, options = sip003.plugin(plugin) if plugin else ("", "")
    return uri.name, Shadowsocks(host, port, method, password, name, options)


def shadowsocks_link(name: str, transport: Shadowsocks) -> str:
    """SIP002: the 2022 ciphers in plain, the others in base64."""
    plugin = f"{transport.plugin};{transport.plugin_options}" if transport.plugin else ""
    user = userinfo(transport.method, transport.password)
    return written("ss", user, (transport.server, transport.port), {"plugin": plugin}, name)


def unwrapped(text: str) -> str:
    """The old form, ss://base64(method:password@host:port)#name, as the new one."""
    body, hash_sign, fragment = text.removeprefix("ss://").partition("#")
    encoded, mark, parameters = body.partition("?")
    if "@" in encoded:
        return text
    inner, at, place = utf8(wall.base64(encoded.removesuffix("/"), "link")).rpartition("@")
    if not at or "#" in place or "?" in place:
        raise LinkError("The link has no server: ss://method:password@host:port is needed, in base64 or not.")
    userinfo = b64encode(inner.encode()).decode()  # its password is not percent-encoded, so it may hold anything
    return f"ss://{userinfo}@{place}{mark}{parameters}{hash_sign}{fragment}"


def utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise LinkError("The link's base64 does not hold text.") from None


def credentials(uri: Uri) -> tuple[str, str]:
    """The method and the password: in plain if there is a colon, else in base64 (SIP002)."""
    plain = decoded(uri.userinfo)
    if ":" not in plain:
        plain = utf8(wall.base64(plain, "user part of the link"))
    named, _, password = plain.partition(":")
    method = ALIASES.get(named.lower(), named.lower())
    wall.one_of(method, (*METHODS, *METHODS_2022), "cipher (one without authentication is never accepted)")
    if method in METHODS_2022:
        return method, keys(password, METHODS_2022[method])
    return method, wall.text(password, "password")


def keys(password: str, size: int) -> str:
    """SIP022 keys, as the standard base64 that the engine reads."""
    parts = [wall.key(part, "Shadowsocks 2022 key", size) for part in password.split(":")]
    return ":".join(b64encode(part).decode() for part in parts)
