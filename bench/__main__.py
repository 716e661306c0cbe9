"""python -m bench [--quick] [--only PART]: measure, print the table. The exit status is 0 whatever the figures are.

A part is timing, footprint, throughput, or one of the lab's servers: `--only tuic` is that one beside its bare engine.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator

from bench import footprint, report, throughput, timing
from bench.report import Row
from bench.throughput import TRANSPORTS, Effort
from bench.ways import SERVERS
from tests.lab import Lab
from tests.lab.box import Box

PARTS = ("timing", "footprint", "throughput", *SERVERS)


def main() -> int:
    options = _options()
    if os.geteuid() != 0:
        print("bench: needs root, for network namespaces", file=sys.stderr)
        return 1
    began, rows = time.monotonic(), []
    print(report.head(), flush=True)
    for row in _rows(options.quick, set(options.only or PARTS[:3])):
        report.show(row)
        rows.append(row)
    print(f"\n{report.summary(rows)}; {time.monotonic() - began:.0f} s")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the targets in the lab.")
    parser.add_argument("--quick", action="store_true", help="three turns in place of seven to 21, and fewer switches")
    parser.add_argument("--only", action="append", choices=PARTS, help="repeatable; a transport is part of throughput")
    return parser.parse_args()


def _rows(quick: bool, parts: set[str]) -> Iterator[Row]:
    with Lab.up((*timing.FIVE,)) as lab:
        if "timing" in parts:
            yield from timing.rows(lab, 20 if quick else 60)
        if parts == {"timing"}:
            return
        only = () if "throughput" in parts else tuple(name for name in SERVERS if name in parts)
        carried = tuple(dict.fromkeys((*(TRANSPORTS if parts & {"throughput", "footprint"} else ()), *only)))
        with Box(lab, carried) as box:
            box.wait_warm(min(len(carried), 1 + box.standby))
            if "footprint" in parts:
                yield from footprint.rows(lab, box, 10 if quick else 20)
            if parts & {"throughput", *SERVERS}:
                effort = Effort(3, 1, 3) if quick else Effort(7, 1, 21)
                yield from throughput.rows(lab, box, effort, only)


if __name__ == "__main__":
    sys.exit(main())
