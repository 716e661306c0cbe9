"""ShadowTLS, as a Shadowsocks link's plugin=shadow-tls;host=…;password=…;version=3. No plugin is ever run for it."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from routerd.links import wall
from routerd.links.uri import written, written_user
from routerd.links.wall import LinkError
from routerd.transports.shadowsocks import METHODS_2022, Shadowsocks
from routerd.transports.shadowtls import ShadowTls

PLUGINS = ("shadow-tls", "shadowtls", "shadow_tls")


def inside(plugin: str, inner: Shadowsocks) -> ShadowTls:
    """`plugin`: the value of plugin=, SIP002's list of options."""
    name, *options = plugin.split(";")
    if name not in PLUGINS:
        raise LinkError("The link needs a SIP003 plugin that is not supported; shadow-tls is.")
    found = {key: value for key, _, value in (option.partition("=") for option in options)}
    if found.get("version") != "3" and "v3" not in found:
        raise LinkError("The link is of a ShadowTLS before version 3, which censors can tell from true TLS.")
    cover = wall.text(found.get("password") or found.get("passwd") or "", "password of ShadowTLS")
    if set(cover) & set("\\;"):
        raise LinkError("The password of ShadowTLS has a semicolon or a backslash, which the link cannot carry.")
    return ShadowTls(inner.server, inner.port, inner.method, inner.password, wall.host(found.get("host", "")), cover)


def shadowtls_link(name: str, transport: ShadowTls) -> str:
    plugin = f"shadow-tls;host={transport.sni};password={transport.cover_password};version=3"
    place = transport.server, transport.port
    return written("ss", userinfo(transport.method, transport.password), place, {"plugin": plugin}, name)


def userinfo(method: str, password: str) -> str:
    """Plain for the 2022 ciphers, in base64 for the others (SIP002)."""
    if method in METHODS_2022:
        return written_user(method, password)
    return urlsafe_b64encode(f"{method}:{password}".encode()).decode().rstrip("=")
