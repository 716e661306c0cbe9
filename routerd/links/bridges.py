"""Tor bridge lines as people get them: `[Bridge] [transport] IP:port [fingerprint] [key=value ...]`, many at once.

All lines of one text are one transport, since tor itself chooses among its bridges. The link form, tor://LINE,LINE#name
with each line percent-encoded, keeps them on one line of a list, with a name; without a line it is Tor without bridges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, urlsplit

from routerd.links import wall
from routerd.links.uri import decoded
from routerd.links.wall import LinkError
from routerd.transports.tor import HELPERS, HIDDEN, Bridge, Tor

MOST_BRIDGES = 32  # each becomes a rule of the ruleset
LONGEST_ARGUMENTS = 510  # tor hands them to its helper as a SOCKS5 user and password of 255 bytes each (pt-spec, 3.5)
CARRIED = ", ".join(HELPERS)
PLACE = r"(?:[0-9.]{7,15}|\[[0-9a-f:.]{2,45}\]):[0-9]{1,5}"
# An address alone may be anything; by the word, the helper's name or the fingerprint it is a bridge.
LINE = re.compile(
    rf"(?:bridge\s+(?:[a-z]\w*\s+)?{PLACE}|[a-z]\w*\s+{PLACE}|{PLACE}\s+\$?[0-9a-f]{{40}})(?:\s.*)?",
    re.IGNORECASE | re.ASCII,
)
FINGERPRINT = re.compile(r"\$?([0-9A-Fa-f]{40})")
URL_PATH = re.compile(r"[A-Za-z0-9._~/-]{0,256}")
WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")


def is_bridge(line: str) -> bool:
    """Whether it looks like a bridge line; `bridge` says what is wrong with it."""
    return bool(LINE.fullmatch(line.strip()))


def is_good(line: str) -> bool:
    try:
        return is_bridge(line) and bool(bridge(line))
    except LinkError:
        return False


def bridges(lines: Iterable[str]) -> Tor:
    """One transport of all these lines. Raises LinkError."""
    found = tuple(dict.fromkeys(bridge(line) for line in lines if line.strip()))
    if len(found) > MOST_BRIDGES:
        raise LinkError(f"There are too many bridges: {MOST_BRIDGES} are allowed.")
    return Tor(found)


def tor(text: str) -> tuple[str, Tor]:
    body, _, name = text.removeprefix("tor://").partition("#")
    return decoded(name), bridges(decoded(line) for line in body.rstrip("/").split(","))


def tor_link(name: str, transport: Tor) -> str:
    lines = ",".join(quote(each.line, safe=":") for each in transport.bridges)
    return f"tor://{lines}#{quote(name, safe='')}" if name else f"tor://{lines}"


def bridge(line: str) -> Bridge:
    words = line.split()
    if words and words[0].lower() == "bridge":
        words = words[1:]
    by = words.pop(0).lower() if words and re.fullmatch(r"[A-Za-z]\w*", words[0], re.ASCII) else ""
    if by and by not in HELPERS:
        raise LinkError(f"Bridges of this kind need a helper that is not known here; allowed: plain, {CARRIED}.")
    address, port = place(words.pop(0) if words else "")
    match = FINGERPRINT.fullmatch(words[0]) if words else None
    pairs = arguments(by, words[1:] if match else words)
    return checked(Bridge(by, address, port, match[1].upper() if match else "", pairs))


def place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        if bracketed == (":" in host):
            return wall.address(host[1:-1] if bracketed else host), wall.port(port)
    except ValueError:
        pass
    raise LinkError("The bridge line has no IP:port; an IPv6 address stands in brackets.")


def arguments(by: str, words: list[str]) -> tuple[tuple[str, str], ...]:
    known = ARGUMENTS[by]
    found: dict[str, str] = {}
    for key, sign, value in (word.partition("=") for word in words):
        if not sign or key not in known:
            raise LinkError(
                f"The bridge line has something unknown in it; allowed: {', '.join(known) or 'nothing more'}."
            )
        if key in found:
            raise LinkError("The bridge line gives one of its arguments twice.")
        found[key] = known[key](value)
    return tuple(found.items())


def checked(found: Bridge) -> Bridge:
    keys = {key for key, _ in found.arguments}
    missing = NEEDED.get(found.by, set()) - keys
    if missing and not (found.by == "obfs4" and {"node-id", "public-key"} <= keys):
        raise LinkError(f"The bridge line is cut off: {', '.join(sorted(missing))} is missing.")
    if found.by not in HIDDEN and found.by and not found.fingerprint:
        raise LinkError("The bridge line has no fingerprint of 40 hexadecimal digits.")
    if sum(len(key) + len(value) + 2 for key, value in found.arguments) > LONGEST_ARGUMENTS:
        raise LinkError(f"The bridge line's arguments are longer than the {LONGEST_ARGUMENTS} bytes that tor takes.")
    return found


# -- what an argument may be: each returns it as it is written into tor's configuration --------------------------


def url(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme != "https" or not URL_PATH.fullmatch(parts.path) or "@" in parts.netloc or parts.query:
        raise LinkError("The bridge's url= is not a plain https:// address.")
    host = wall.hostname(parts.hostname or "")
    return f"https://{host}{f':{wall.port(str(port))}' if port is not None else ''}{parts.path}"


def hosts(value: str) -> str:
    return ",".join(wall.hostname(host) for host in value.split(","))


def socket_address(value: str) -> str:
    host, port = place(value)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def stun(value: str) -> str:
    """`stun:HOST:PORT`, several with commas."""
    parts = [re.fullmatch(r"stun:([^:]+)(?::([0-9]+))?", one) for one in value.split(",")]
    if not all(parts):
        raise LinkError("The bridge's ice= is not a list of stun:HOST:PORT.")
    return ",".join(f"stun:{wall.hostname(p[1])}:{wall.port(p[2] or '3478')}" for p in parts if p)


def word(value: str) -> str:
    if not WORD.fullmatch(value):
        raise LinkError("One of the bridge line's arguments has characters that do not belong there.")
    return value


def certificate(value: str) -> str:
    """Node id and public key, 52 bytes (obfs4, transports/obfs4/statefile.go)."""
    wall.key(value, "bridge's cert=", 52)
    return value.rstrip("=")


def fingerprint(value: str) -> str:
    return wall.hexadecimal(value, "bridge's fingerprint=", (40,)).upper()


def flag(value: str) -> str:
    return wall.one_of(value, ("true", "false"), "bridge's flag")


Check = Callable[[str], str]
ARGUMENTS: dict[str, dict[str, Check]] = {
    "": {},
    "obfs4": {
        "cert": certificate,
        "iat-mode": lambda value: wall.one_of(value, ("0", "1", "2"), "bridge's iat-mode="),
        "node-id": lambda value: wall.hexadecimal(value, "bridge's node-id=", (40,)),
        "public-key": lambda value: wall.hexadecimal(value, "bridge's public-key=", (64,)),
    },
    "meek_lite": {"url": url, "front": hosts, "utls": word},
    "webtunnel": {
        "url": url,
        "ver": word,
        "addr": socket_address,
        "servername": hosts,
        "sni-imitation": wall.hostname,
        "utls": word,
    },
    "snowflake": {
        "fingerprint": fingerprint,
        "url": url,
        "ampcache": url,
        "front": hosts,
        "fronts": hosts,
        "ice": stun,
        "max": lambda value: str(wall.number(value, "bridge's max=", 1, 10)),
        "utls-imitate": word,
        "utls-nosni": flag,
    },
}
# Without ice= Debian 12's snowflake-client (2.5.1) ends with a nil pointer at its first connection.
NEEDED = {
    "obfs4": {"cert", "iat-mode"},
    "meek_lite": {"url"},
    "webtunnel": {"url"},
    "snowflake": {"fingerprint", "url", "ice"},
}
