"""iodine://password@resolver?domain= links. No specification: iodine itself has only options."""

from __future__ import annotations

from urllib.parse import quote

from routerd.links import wall
from routerd.links.uri import decoded, server, split, written
from routerd.links.wall import LinkError
from routerd.transports.iodine import Iodine

LONGEST = 32  # bytes of a password: the protocol looks at no more
LONGEST_DOMAIN = 128  # characters: as many again have to fit before it


def iodine(text: str) -> tuple[str, Iodine]:
    uri = split(text)
    host, port = server(uri, "53")
    try:
        wall.address(host)
    except ValueError:
        raise LinkError("The resolver has to be an IP address: where nothing else gets out, none is found.") from None
    domain = uri.query.get("domain", "")
    if "." not in domain or len(domain) > LONGEST_DOMAIN:
        raise LinkError("The link does not say what the tunnel's server answers for: ?domain=t.example.org is needed.")
    password = wall.text(decoded(uri.userinfo), "password")
    if len(password.encode()) > LONGEST:
        raise LinkError(f"The password is longer than {LONGEST} bytes.")
    return uri.name, Iodine(host, port, wall.hostname(domain), password)


def iodine_link(name: str, transport: Iodine) -> str:
    place, user = (transport.server, transport.port), quote(transport.password, safe="")
    return written("iodine", user, place, {"domain": transport.domain}, name)
