"""The `extra` of an XHTTP link (Xray's infra/conf, SplitHTTPConfig): JSON of which every member is judged, or refused.

What only a server reads is passed over. A second server for the downloads (downloadSettings) is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from routerd.links import wall
from routerd.links.wall import LinkError

Judge = Callable[[object], object]
RANGE = re.compile(r"[0-9]{1,9}(-[0-9]{1,9})?", re.ASCII)
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # RFC 9110, 5.6.2
VALUE = re.compile(r"[!-~]([ -~]{0,510}[!-~])?")
MOST_HEADERS = 16
PLACES = ("path", "cookie", "header", "query")
OF_THE_SERVER = {"noSSEHeader", "scMaxBufferedPosts", "scStreamUpServerSecs", "serverMaxHeaderBytes"}


def judged(text: str, mode: str) -> str:
    """The members as JSON again, in one way of writing."""
    found = members(_read(text), MEMBERS)
    only_packets = found.get("uplinkDataPlacement") in ("cookie", "header") or found.get("uplinkHTTPMethod") == "GET"
    if only_packets and mode != "packet-up":
        raise LinkError("The link's extra= sends its data in headers, which needs mode=packet-up.")
    return json.dumps(found, sort_keys=True, separators=(",", ":")) if found else ""


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise LinkError("The link's extra= is no JSON.") from None


def members(found: object, judges: Mapping[str, Judge]) -> dict[str, object]:
    if not isinstance(found, dict):
        raise LinkError("The link's extra= is no JSON object.")
    if "downloadSettings" in found:
        raise LinkError("The link downloads from a second server (downloadSettings), which is not supported.")
    if set(found) - set(judges) - OF_THE_SERVER:
        raise LinkError(f"The link's extra= has a member that is not supported; allowed: {', '.join(judges)}.")
    kept = {key: judges[key](value) for key, value in found.items() if key in judges and value not in (None, "")}
    return {key: value for key, value in kept.items() if value not in ({}, False)}


def range_(value: object) -> str:
    """A number of at most nine digits, or two with a hyphen."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not RANGE.fullmatch(str(value)[:20]):
        raise LinkError("The link's extra= has a range that is none; a number is needed, or two like 100-1000.")
    first, _, last = str(value).partition("-")
    if int(first) > int(last or first):
        raise LinkError("The link's extra= has a range that runs backwards.")
    return f"{int(first)}-{int(last or first)}"


def padding(value: object) -> str:
    """Xray refuses to go without."""
    found = range_(value)
    if found.startswith("0-"):
        raise LinkError("The link's extra= turns the padding off, which Xray refuses.")
    return found


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise LinkError("The link's extra= has a switch that is neither true nor false.")
    return value


def token(value: object) -> str:
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise LinkError("The link's extra= has a name that cannot be one of a header or a cookie.")
    return value


def word(*allowed: str) -> Judge:
    def judge(value: object) -> str:
        return wall.one_of(value if isinstance(value, str) else "", allowed, "word in extra=")

    return judge


def headers(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MOST_HEADERS:
        raise LinkError(f"The link's extra= has headers that are none, or more than {MOST_HEADERS}.")
    return {token(name): _header(name, content) for name, content in value.items()}


def _header(name: str, content: object) -> str:
    if name.lower() == "host" or not isinstance(content, str) or not VALUE.fullmatch(content):
        raise LinkError("The link's extra= has a header whose value is none, or Host, which has a place of its own.")
    return content


def xmux(value: object) -> dict[str, object]:
    found = members(value, XMUX)
    if all(str(found.get(key, "0-0")) != "0-0" for key in ("maxConcurrency", "maxConnections")):
        raise LinkError("The link's extra= limits connections and concurrency both, which Xray refuses.")
    return found


def seconds(value: object) -> int:
    """-1 for none, 0 for what Xray thinks."""
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= 86400:
        raise LinkError("The link's extra= has a number of seconds that is none.")
    return value


XMUX: Mapping[str, Judge] = {
    **dict.fromkeys(
        ("maxConcurrency", "maxConnections", "cMaxReuseTimes", "hMaxRequestTimes", "hMaxReusableSecs"), range_
    ),
    "hKeepAlivePeriod": seconds,
}
MEMBERS: Mapping[str, Judge] = {
    "headers": headers,
    "xmux": xmux,
    "xPaddingBytes": padding,
    **dict.fromkeys(("scMaxEachPostBytes", "scMinPostsIntervalMs", "uplinkChunkSize"), range_),
    **dict.fromkeys(("noGRPCHeader", "xPaddingObfsMode"), flag),
    **dict.fromkeys(("xPaddingKey", "xPaddingHeader", "sessionIDKey", "seqKey", "uplinkDataKey"), token),
    "xPaddingPlacement": word("cookie", "header", "query", "queryInHeader"),
    "xPaddingMethod": word("repeat-x", "tokenish"),
    "sessionIDPlacement": word(*PLACES),
    "seqPlacement": word(*PLACES),
    "uplinkDataPlacement": word("auto", "body", "cookie", "header"),
    "uplinkHTTPMethod": word("GET", "POST", "PUT", "PATCH"),
}
