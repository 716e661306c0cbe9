"""routerctl: the owner's commands. Speaks to the daemon's socket alone; `import --dry-run` needs no daemon.

Exit status: 0 done, 1 refused or failed (one line on stderr), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from routerd import __version__
from routerd.commands import desync, diagnosis, reading, state, subscriptions, transports
from routerd.wire import Refused

ROOMS = (state, diagnosis, desync, reading, subscriptions, transports)


def main() -> None:
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except Refused as e:
        print(f"routerctl: {e}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="routerctl", description="Clearway, from the command line.")
    parser.add_argument("--socket", type=Path, default=Path("/run/clearway/api.sock"))
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for room in ROOMS:
        room.declare(verbs)
    return parser
