"""Programs that an engine starts by itself: which of them are on this box, and what the engine is told of them.

What needs one that is not here is left out of the engine's configuration, and the owner is told: all else works. (tor
waits for ever for the descriptor of a bridge whose helper is missing, however many others it has.)
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from routerd.host.engines import PATH, EngineMissing
from routerd.model import Helper

PACKAGES = {"webtunnel-client": "webtunnel"}  # where the package is not called as the program


def configured(helpers: Iterable[Helper]) -> str:
    """What the engine's configuration ends with."""
    return "".join(each.config.replace("{}", path) for each in helpers if (path := place(each)))


def place(helper: Helper) -> str | None:
    """Where the first of its programs is, or None."""
    return next(filter(None, (shutil.which(name, path=PATH) for name in helper.programs)), None)


def check(helpers: Iterable[Helper]) -> None:
    """Raises EngineMissing where none is here."""
    helpers = tuple(helpers)
    if not any(map(place, helpers)):
        raise EngineMissing(f"what its bridges need is not on this box ({missing(helpers)})")


def missing(helpers: Iterable[Helper]) -> str:
    """What to install, in a few words; empty where nothing is missing."""
    lacking = dict.fromkeys(f"{each.carries}: package {_packages(each)}" for each in helpers if place(each) is None)
    return "; ".join(lacking)


def _packages(helper: Helper) -> str:
    return " or ".join(PACKAGES.get(name, name) for name in helper.programs)
