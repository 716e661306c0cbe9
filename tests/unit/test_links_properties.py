"""Whatever is pasted: a transport without a single control character in it, or a LinkError."""

from __future__ import annotations

import unicodedata
from base64 import b64encode
from dataclasses import fields, is_dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.links import SCHEMES, LinkError, Named, parse
from routerd.transports import KINDS

GOLDEN = Path(__file__).parents[1] / "golden" / "engines"
SOURCES = [path.read_text().strip() for path in sorted(GOLDEN.glob("*/link.txt")) + sorted(GOLDEN.glob("*/wg.conf"))]

anything = st.text(st.characters(), max_size=60)  # lone surrogates too
words = st.sampled_from(["@", ":", "/", "?", "#", "&", "=", "%", "%00", "%0a", "[", "]", "::1", "443", "ss", ",", "-",
                         "h.example", "security", "tls", "reality", "ws", "type", "sni", "\n", "\u202e"])  # fmt: skip
links = st.builds(
    lambda s, parts: f"{s}://{''.join(parts)}", st.sampled_from(list(SCHEMES)), st.lists(words | anything)
)
encoded = st.builds(
    lambda s, t: f"{s}://{b64encode(t.encode(errors='surrogatepass')).decode()}",
    st.sampled_from(["ss", "vmess"]),
    anything,
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A good link with a piece taken out and another put in."""
    source = draw(st.sampled_from(SOURCES))
    start = draw(st.integers(0, len(source)))
    end = draw(st.integers(start, min(len(source), start + 8)))
    return source[:start] + draw(words | anything) + source[end:]


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for item in value for text in strings(item)]
    if is_dataclass(value):
        return [text for field in fields(value) for text in strings(getattr(value, field.name))]
    return []


def check(text: str) -> None:
    try:
        found = parse(text)
    except LinkError as error:
        assert error.reason.endswith(".")
        return
    assert isinstance(found, Named)
    assert found.transport.kind in KINDS
    assert 1 <= found.transport.port <= 65535
    assert not [s for s in [found.name, *strings(found.transport)] if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in s)]


@settings(max_examples=150, deadline=None)
@given(anything | links | encoded)
def test_arbitrary_text_is_a_transport_or_a_link_error(text: str) -> None:
    check(text)


@settings(max_examples=250, deadline=None)
@given(mutated())
def test_a_good_link_gone_wrong_is_a_transport_or_a_link_error(text: str) -> None:
    check(text)
