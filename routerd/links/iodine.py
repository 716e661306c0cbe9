"""iodine://PASSWORD@RESOLVER?domain=DOMAIN links: a form of ours, since nobody has one."""

from __future__ import annotations

from urllib.parse import quote

from routerd.links import wall
from routerd.links.uri import decoded, server, split, written
from routerd.links.wall import LinkError
from routerd.transports.iodine import PORT, Iodine

LONGEST_PASSWORD, LONGEST_DOMAIN = 32, 128  # the client's own limits


def iodine(text: str) -> tuple[str, Iodine]:
    uri = split(text)
    host, port = server(uri, str(PORT))
    password = wall.text(decoded(uri.userinfo), "password")
    domain = wall.hostname(uri.query.get("domain", ""))
    if port != PORT:
        raise LinkError(f"A DNS tunnel asks a resolver on port {PORT} and on no other.")
    if len(password.encode()) > LONGEST_PASSWORD or len(domain) > LONGEST_DOMAIN:
        raise LinkError(f"The password has at most {LONGEST_PASSWORD} bytes, the domain {LONGEST_DOMAIN} characters.")
    return uri.name, Iodine(host, domain, password)


def iodine_link(name: str, transport: Iodine) -> str:
    place = (transport.server, PORT)
    return written("iodine", quote(transport.password, safe=""), place, {"domain": transport.domain}, name)
