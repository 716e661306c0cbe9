"""The wall: every value from a link passes one of these checks, or the link is refused. Reasons never quote a value."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

ADDRESS = re.compile(r"[0-9A-Fa-f:.]+")  # what is not of these characters is no IP address
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
DIGITS = re.compile(r"[0-9]{1,5}")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")
BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
PATH = re.compile(r"/[!-~]{0,1023}")
BLANKS = str.maketrans("\t\r\n", "   ")
LONGEST_TEXT = 1024
LONGEST_NAME = 64


class LinkError(Exception):
    """One sentence: what is wrong with the link, and what is allowed. Holds no secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def invisible(char: str) -> bool:
    """Control, formatting (bidi, zero-width), surrogate, private or unassigned; or a line separator."""
    category = unicodedata.category(char)
    return category[0] == "C" or category in ("Zl", "Zp")


def shown(text: str) -> str:
    """Without what hides or reverses."""
    return text if text.isprintable() else "".join(char for char in text if not invisible(char))


def name(text: str) -> str:
    """A name for people: emoji and any script, nothing that hides or reverses."""
    return " ".join(shown(text.translate(BLANKS)).split())[:LONGEST_NAME].strip()


def text(value: str, what: str) -> str:
    """A password or the like: anything that can be seen."""
    if not value or len(value) > LONGEST_TEXT or shown(value) != value:
        raise LinkError(f"The {what} is missing, too long, or has characters that cannot be seen.")
    return value


@lru_cache(1024)  # lists name the same few hosts again and again
def host(value: str) -> str:
    """An IP address or a host name, as A-labels in lower case."""
    bare = value.removeprefix("[").removesuffix("]")
    try:
        return address(bare) if ADDRESS.fullmatch(bare) else hostname(value)
    except ValueError:
        return hostname(value)


def address(value: str) -> str:
    if "%" in value:
        raise ValueError("a zone has no meaning outside one machine")
    found = ip_address(value)
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if found.is_unspecified or found.is_multicast:
        raise LinkError("The server's address is no single machine's address.")
    return str(found)


def hostname(value: str) -> str:
    reason = "The server's name is not a host name or an IP address: letters, digits, hyphens and dots are allowed."
    try:
        ascii_name = value if value.isascii() else value.encode("idna").decode("ascii")
    except UnicodeError:
        raise LinkError(reason) from None
    ascii_name = ascii_name.lower().removesuffix(".")
    labels = ascii_name.split(".")
    # A last label of digits (or 0x…) is read as an IPv4 address by inet_aton (WHATWG URL, "ends in a number").
    number = NUMBER.fullmatch(labels[-1])
    if len(ascii_name) > 253 or number or not all(LABEL.fullmatch(label) for label in labels):
        raise LinkError(reason)
    return ascii_name


def number(value: str, what: str, first: int, last: int) -> int:
    if not DIGITS.fullmatch(value) or not first <= int(value) <= last:
        raise LinkError(f"The {what} must be a number from {first} to {last}.")
    return int(value)


def port(value: str) -> int:
    return number(value, "port", 1, 65535)


def uuid(value: str) -> str:
    if not UUID.fullmatch(value.lower()):
        raise LinkError("The user's id is not a UUID: 32 hexadecimal digits are needed.")
    digits = value.lower().replace("-", "")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def one_of(value: str, allowed: Collection[str], what: str) -> str:
    if value not in allowed:
        raise LinkError(f"The {what} is not one that is supported; allowed: {', '.join(filter(None, allowed))}.")
    return value


def base64(value: str, what: str) -> bytes:
    """Standard or URL-safe, with padding or without."""
    standard = value.replace("-", "+").replace("_", "/")
    bare = standard.rstrip("=")
    try:
        if BASE64.fullmatch(standard):
            return b64decode(bare + "=" * (-len(bare) % 4))
    except Base64Error:
        pass
    raise LinkError(f"The {what} is not valid base64.")


def key(value: str, what: str, size: int) -> bytes:
    """A base64 key of exactly `size` bytes."""
    found = base64(value, what)
    if len(found) != size:
        raise LinkError(f"The {what} must be base64 of {size} bytes.")
    return found


def hexadecimal(value: str, what: str, sizes: Collection[int]) -> str:
    """Hex digits, as many as one of `sizes`."""
    if len(value) not in sizes or not re.fullmatch(r"[0-9a-f]*", value.lower()):
        raise LinkError(f"The {what} is not a hexadecimal number of the right length.")
    return value.lower()


def visible(value: str, what: str, longest: int = 256) -> str:
    """ASCII without a space, or nothing."""
    if not re.fullmatch(r"[!-~]*", value) or len(value) > longest:
        raise LinkError(f"The {what} is too long, or has characters that do not belong there.")
    return value


def path(value: str, what: str) -> str:
    """An HTTP path, with its leading slash and maybe a query."""
    slashed = value if value.startswith("/") else "/" + value
    if not PATH.fullmatch(slashed):
        raise LinkError(f"The {what} has characters that do not belong in a path.")
    return slashed
