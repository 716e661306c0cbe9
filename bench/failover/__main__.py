"""python -m bench.failover [--strikes N] [--only KIND] [--who ours,...] [--json FILE]: strikes, measures, prints.

The exit status is 0 whatever the figures are.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.failover import ours, strikes
from bench.failover.measure import Struck
from bench.failover.peers import PEERS, WINDOW, theirs
from bench.failover.strikes import STRIKES, Strike
from bench.failover.table import HEAD, Row, line
from tests.lab import Lab, LabError, poison
from tests.lab.censor import BLOCK_PAGE, reset_injected

OURS = "ours"
WHO = (OURS, *(peer.name for peer in PEERS))


def main() -> int:
    options = _options()
    if os.geteuid() != 0:
        print("bench.failover: needs root, for network namespaces", file=sys.stderr)
        return 1
    began, rows = time.monotonic(), list[Row]()
    chosen = [strike for strike in STRIKES if strike.name in (options.only or [s.name for s in STRIKES])]
    for row in _rows(options.who.split(","), chosen, options.strikes, options.peer_strikes):
        rows.append(row)
        if options.json:
            options.json.write_text(json.dumps([_plain(row) for row in rows], indent=1))
    print(line(HEAD), *(line(row.cells()) for row in rows), sep="\n")
    print(f"\n{time.monotonic() - began:.0f} s")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description="Seconds without service.")
    parser.add_argument("--strikes", type=int, default=30, help="of each kind, for ours (30)")
    parser.add_argument("--peer-strikes", type=int, default=3, help="of each kind, for each peer (3)")
    parser.add_argument("--only", action="append", choices=[s.name for s in STRIKES], help="repeatable")
    parser.add_argument("--who", default=",".join(WHO), help=f"of {', '.join(WHO)}")
    parser.add_argument("--json", type=Path, help="write every strike there")
    return parser.parse_args()


def _rows(who: list[str], chosen: list[Strike], count: int, theirs_count: int) -> Iterator[Row]:
    with Lab.up(ours.TRANSPORTS) as lab:
        poison.prepare(lab, strikes.LIES, BLOCK_PAGE[:1])
        with lab.censor(reset_injected("192.0.2.250")):  # starts the censor's eye: its first strike is no slower
            pass
        if OURS in who:
            with ours.ours(lab) as made:
                for strike in chosen:
                    yield _row(OURS, strike, count, made.strike, ours.window(strike))
        for peer in (peer for peer in PEERS if peer.name in who):
            with theirs(lab, peer) as other:
                for strike in (strike for strike in chosen if other.hit_by(strike)):
                    yield _row(peer.name, strike, theirs_count, other.strike, WINDOW)


def _row(who: str, strike: Strike, count: int, do: Callable[[Strike, int], Struck], window: float) -> Row:
    began, struck = time.monotonic(), list[Struck]()
    for number in range(count):
        try:
            struck.append(do(strike, number))
            _tell(f"{who}, {strike.name} {number + 1}/{count}: {_shown(struck[-1])}")
        except LabError as e:
            _tell(f"{who}, {strike.name} {number + 1}/{count}: not measured: {str(e)[:300]}")
    row = Row(strike, who, struck, window)
    _tell(f"{line(row.cells())}  [{time.monotonic() - began:.0f} s]")
    return row


def _shown(struck: Struck) -> str:
    reset = f"{len(struck.reset)} reset, last {struck.reset[-1]:.2f}" if struck.reset else "0 reset"
    decided = "" if struck.decided is None else f"; moved to {struck.to} at {struck.decided:.2f}"
    seconds = "not back" if struck.seconds is None else f"{struck.seconds:.2f} s"
    return f"{seconds}; lost {dict(struck.stages)}; {reset}, {struck.hanging} hang{decided}"


def _plain(row: Row) -> dict[str, object]:
    return {"strike": row.strike.name, "who": row.who, "struck": [dataclasses.asdict(one) for one in row.struck]}


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
