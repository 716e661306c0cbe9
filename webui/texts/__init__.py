"""Every sentence of the page comes from a catalogue beside this file, one JSON object for each language.

A language brings its own direction (`dir`). A test compares the keys of all catalogues, and those that the code uses.
"""

import json
from functools import lru_cache
from importlib.resources import files

DEFAULT = "en"


@lru_cache(maxsize=8)
def catalogue(language: str = DEFAULT) -> dict[str, str]:
    found: dict[str, str] = json.loads(files(__name__).joinpath(f"{language}.json").read_text("utf-8"))
    return found


def text(key: str, **values: object) -> str:
    return catalogue()[key].format_map(values)


def text_or(key: str, otherwise: str) -> str:
    """For words that the daemon coins: a catalogue may know them, and need not."""
    return catalogue().get(key, otherwise)
