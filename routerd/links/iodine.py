"""iodine://password@resolver?domain= links; without a resolver, iodine://password@domain, the line's own is asked.

No specification: iodine itself has only options.
"""

from __future__ import annotations

from urllib.parse import quote

from routerd.links import wall
from routerd.links.uri import Uri, decoded, server, split, written
from routerd.links.wall import LinkError
from routerd.model import OF_THE_LINE
from routerd.transports.iodine import Iodine

PORT = 53
LONGEST = 32  # bytes of a password: the protocol looks at no more
LONGEST_DOMAIN = 128  # characters: as many again have to fit before it


def iodine(text: str) -> tuple[str, Iodine]:
    uri = split(text)
    asked, port, said = _places(uri)
    domain = wall.hostname(said) if said else ""
    if "." not in domain or len(domain) > LONGEST_DOMAIN:
        raise LinkError("The link does not say what the tunnel's server answers for: ?domain=t.example.org is needed.")
    password = wall.text(decoded(uri.userinfo), "password")
    if len(password.encode()) > LONGEST:
        raise LinkError(f"The password is longer than {LONGEST} bytes.")
    made = Iodine(asked, port, domain, password)
    return uri.name or ("" if asked else made.domain), made


def _places(uri: Uri) -> tuple[str, int, str]:
    """Who is asked, at which port, and what the tunnel's server answers for."""
    host, port = server(uri, str(PORT))
    if "domain" in uri.query or _is_address(host):
        if not _is_address(host):
            raise LinkError("The resolver has to be an IP address: where nothing else gets out, none is found.")
        return host, port, uri.query.get("domain", "")
    if port != PORT:
        raise LinkError(f"The line's own resolver is asked at port {PORT}; with another port, name the resolver.")
    return OF_THE_LINE, port, host


def _is_address(host: str) -> bool:
    try:
        return bool(wall.address(host))
    except ValueError:
        return False


def iodine_link(name: str, transport: Iodine) -> str:
    user = quote(transport.password, safe="")
    if transport.server == OF_THE_LINE:
        return written("iodine", user, (transport.domain, transport.port), {}, name)
    return written("iodine", user, (transport.server, transport.port), {"domain": transport.domain}, name)
