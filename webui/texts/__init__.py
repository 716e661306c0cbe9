"""Every sentence of the page comes from a catalogue beside this file, one JSON object for each language.

A language brings its own direction (`dir`). A test compares the keys of all catalogues, and those that the code uses.
"""

import json
from functools import lru_cache
from importlib.resources import files
from unicodedata import bidirectional

DEFAULT = "en"


@lru_cache(maxsize=8)
def catalogue(language: str = DEFAULT) -> dict[str, str]:
    found: dict[str, str] = json.loads(files(__name__).joinpath(f"{language}.json").read_text("utf-8"))
    return found


def text(key: str, **values: object) -> str:
    return catalogue()[key].format_map({name: _apart(str(value)) for name, value in values.items()})


def _apart(value: str) -> str:
    """A name from right to left would take the words around it along: U+2068 and U+2069 keep it apart."""
    return f"\u2068{value}\u2069" if any(bidirectional(each) in ("R", "AL") for each in value) else value


def text_or(key: str, otherwise: str) -> str:
    """For words that the daemon coins: a catalogue may know them, and need not."""
    return catalogue().get(key, otherwise)
