"""socks://, socks4://, socks4a://, socks5:// and socks5h:// links (dae's proxy-protocols, v2rayN for base64)."""

from __future__ import annotations

from dataclasses import replace

from routerd.links import wall
from routerd.links.uri import Uri, decoded, server, split, user_and_password, written, written_user
from routerd.links.wall import LinkError
from routerd.transports.socks import Socks


def socks(text: str) -> tuple[str, Socks]:
    uri = plain(split(text))
    version = 4 if uri.scheme in ("socks4", "socks4a") else 5
    host, port = server(uri, "1080")
    user, password = user_and_password(uri)
    if password and (version == 4 or not user):
        raise LinkError("The link has a password and no user, or is of SOCKS4, which knows no passwords.")
    if user and not password and version == 5:
        raise LinkError("The link has a user and no password.")
    return uri.name, Socks(host, port, version, user, password)


def plain(uri: Uri) -> Uri:
    """v2rayN has user:password in base64."""
    if not uri.userinfo or ":" in decoded(uri.userinfo) or uri.scheme != "socks":
        return uri
    try:
        user, _, password = wall.base64(decoded(uri.userinfo), "user").decode().partition(":")
    except UnicodeDecodeError:
        raise LinkError("The user's base64 does not hold text.") from None
    return replace(uri, userinfo=written_user(user, password))


def socks_link(name: str, transport: Socks) -> str:
    user = written_user(transport.user, transport.password)
    return written(f"socks{transport.version}", user, (transport.server, transport.port), {}, name)
