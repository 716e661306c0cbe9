"""AmneziaWG's own lines, of a file's [Interface] or a link's query: read one by one, written again in one way.

Names, forms and bounds: amneziawg-go (README, device/uapi.go) and amneziawg-tools (src/config.c), versions 1 to 3.1.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from itertools import pairwise

from routerd.links import wall
from routerd.links.wall import LinkError
from routerd.transports.amneziawg import Terms

LARGEST = 1500  # bytes of a packet: longer ones would be sent in fragments, which nothing else does
TAG = re.compile(r"<[ ]*(?:b[ ]+(?:0x)?((?:[0-9a-f]{2})+)|(r|rc|rd)[ ]+([0-9]{1,4})|(t|c))[ ]*>[ ]*", re.IGNORECASE)
NONE = ("", "0", "off", "(off)")  # amneziawg-go before 3 refuses a Jc of 0; and a file of these alone is WireGuard's
NONCE = 12  # HeaderProtectionKey uses the first bytes of what S1 to S4 put ahead
GONE = ("j1", "j2", "j3", "itime")
RANGE = re.compile(r"([0-9]{1,10})(?:[ ]*-[ ]*([0-9]{1,10}))?")


def terms(names: Mapping[str, str]) -> Terms:
    """Of lines by their names in lower case; empty where it is plain WireGuard. Raises LinkError."""
    if any(names.get(name, "") not in NONE for name in GONE):
        raise LinkError("It has J1 to J3 or Itime, which AmneziaWG itself has given up; take these lines out.")
    checked = {name: check(names[name.lower()], name) for name, check in CHECKS.items() if names.get(name.lower())}
    found = {name: value for name, value in checked.items() if value not in (*NONE, PLAIN.get(name))}
    if "Jc" not in found:
        found = {name: value for name, value in found.items() if name not in ("Jmin", "Jmax")}
    agree(found)
    return tuple(found.items())


def agree(found: Mapping[str, str]) -> None:
    """What one line alone cannot say."""
    if int(found.get("Jmin", "0")) > int(found.get("Jmax", "0")):
        raise LinkError("AmneziaWG's Jmin is larger than its Jmax.")
    apart([found.get(name, plain) for name, plain in PLAIN.items()])
    if "HeaderProtectionKey" in found and any(int(found.get(name, "0")) < NONCE for name in SIZES):
        raise LinkError(f"AmneziaWG's HeaderProtectionKey needs S1 to S4 of {NONCE} or more.")


def apart(headers: list[str]) -> None:
    """By its header a packet's kind is known. What has none of its own has WireGuard's."""
    ranges = sorted(tuple(map(int, header.split("-"))) for header in headers)
    if any(before[-1] >= after[0] for before, after in pairwise(ranges)):
        raise LinkError("Two of AmneziaWG's H1 to H4 overlap.")


def count(value: str, name: str) -> str:
    return str(wall.number(value, f"AmneziaWG's {name}", 0, 128))


def size(value: str, name: str) -> str:
    return str(wall.number(value, f"AmneziaWG's {name}", 0, LARGEST))


def ahead(value: str, name: str) -> str:
    """S4, ahead of every packet: what 1500 bytes have left beside one of 1280, IPv6, UDP and WireGuard's own 32."""
    return str(wall.number(value, f"AmneziaWG's {name}", 0, 140))


def header(value: str, name: str) -> str:
    return span(value, name, 32)


def short(value: str, name: str) -> str:
    return span(value, name, 16)


def span(value: str, name: str, bits: int) -> str:
    """`5`, or `5-10`."""
    if value.lower() in NONE:
        return "0"
    match = RANGE.fullmatch(value)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not first <= last < 1 << bits:
        raise LinkError(f"AmneziaWG's {name} is not a number of {bits} bits, or a range of such.")
    return str(first) if first == last else f"{first}-{last}"


def packet(value: str, name: str) -> str:
    """Tags, one after the other: bytes, random ones, the time, a counter."""
    tags, at, length = list[str](), 0, 0
    while at < len(value):
        match = TAG.match(value, at)
        if not match:
            raise LinkError(f"AmneziaWG's {name} has something else in it than the tags b, r, rc, rd, t and c.")
        tags.append(written(match))
        length += len(match[1]) // 2 if match[1] else int(match[3] or 4)
        at = match.end()
    if length > LARGEST:
        raise LinkError(f"AmneziaWG's {name} is longer than {LARGEST} bytes.")
    return "".join(tags)


def written(match: re.Match[str]) -> str:
    if match[1]:
        return f"<b 0x{match[1].lower()}>"
    return f"<{match[2].lower()} {int(match[3])}>" if match[2] else f"<{match[4].lower()}>"


def secret(value: str, name: str) -> str:
    return b64encode(wall.key(value, f"AmneziaWG's {name}", 32)).decode()


def switch(value: str, name: str) -> str:
    chosen = {"1": "on", "true": "on", "0": "off", "false": "off"}.get(value.lower(), value.lower())
    return wall.one_of(chosen, ("on", "off"), f"AmneziaWG's {name}")


PLAIN = {"H1": "1", "H2": "2", "H3": "3", "H4": "4"}  # WireGuard's own
SIZES = ("S1", "S2", "S3", "S4")
CHECKS: dict[str, Callable[[str, str], str]] = {
    "Jc": count,
    **dict.fromkeys(("Jmin", "Jmax", "S1", "S2", "S3"), size),
    "S4": ahead,
    **dict.fromkeys(PLAIN, header),
    **dict.fromkeys(("I1", "I2", "I3", "I4", "I5"), packet),
    "HeaderProtectionKey": secret,
    **dict.fromkeys(("ContentPaddingAddition", "RekeyAfterTime", "RekeyTimeout"), short),
    **dict.fromkeys(("RejectAfterTime", "KeepaliveTimeout", "MaxHandshakeAttempts"), short),
    **dict.fromkeys(("RandomTrailers", "DisableCookies"), switch),
}
NAMES = frozenset(name.lower() for name in CHECKS).union(GONE)
