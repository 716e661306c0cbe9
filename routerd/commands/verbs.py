"""How a verb is said to the parser."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Run = Callable[[argparse.Namespace], None]


def verb(group: Any, name: str, run: Run, what: str, *words: str) -> argparse.ArgumentParser:
    """`group`: argparse's own, which has no public name. `words`: arguments that must be there."""
    made: argparse.ArgumentParser = group.add_parser(name, help=what, parents=[_shared()])
    made.set_defaults(run=run)
    for word in words:
        made.add_argument(word)
    return made


def noun(group: Any, name: str, what: str) -> Any:
    """A group of verbs, as `group` is one."""
    return group.add_parser(name, help=what).add_subparsers(required=True, metavar="VERB")


def _shared() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="the answer as JSON")
    return shared
