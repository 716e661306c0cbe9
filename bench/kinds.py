"""python -m bench.kinds: TCP through each kind of transport, beside its bare engine. As root.

One line for each: Mbit/s of ours and of the same engine by hand, and the ratio: the median of neighbouring turns, and
its range. Each kind has a lab of its own, so it has the machine for itself. Exit status 1 when one was not measured.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from bench import cores, ways
from bench.load import TCP_DOWN, TCP_UP
from bench.report import Row
from bench.throughput import Effort, take_turns
from tests.lab import Lab, LabError
from tests.lab.box import Box

KINDS = (
    *("ss2022", "trojan", "hysteria2", "hysteria2-pinned", "wireguard", "vmess-ws"),
    *("vless-tls", "vless-reality", "vless-ws", "vless-grpc", "vless-httpupgrade", "vless-xhttp"),
    *("tuic", "anytls", "shadowtls", "hysteria", "ssh", "socks5", "http", "https", "openvpn", "openvpn-tcp"),
)
BRIEF, WHOLE = Effort(1, 1, 1), Effort(7, 1, 21)
WIDTHS = (18, 24, 19, 24, 19)


@dataclass(frozen=True, slots=True)
class Line:
    """Of one kind."""

    name: str
    down: Row
    up: Row

    @property
    def missed(self) -> bool:
        return self.down.missed or self.up.missed

    def cells(self) -> tuple[str, ...]:
        parts = [cell for row in (self.down, self.up) for cell in (_both(row), row.cells()[4])]
        verdicts = [f"{way} {row.verdict}" for way, row in (("down", self.down), ("up", self.up)) if row.missed]
        return (self.name, *parts, "; ".join(verdicts) or "ok")


def main() -> int:
    options = _options()
    if os.geteuid() != 0:
        print("bench: needs root, for network namespaces", file=sys.stderr)
        return 1
    began, lines, failed = time.monotonic(), list[Line](), list[str]()
    print(_aligned(("kind", "down: ours / bare", "ratio (range)", "up: ours / bare", "ratio (range)", "verdict")))
    for name in options.only or KINDS:
        try:
            lines.append(measured(name, BRIEF if options.brief else WHOLE))
            print(_aligned(lines[-1].cells()), flush=True)
        except (LabError, subprocess.SubprocessError) as e:
            failed.append(name)
            print(_aligned((name, f"not measured: {e}", "", "", "", ""))[:500], flush=True)
    met = sum(not line.missed for line in lines)
    took = time.monotonic() - began
    print(f"\n{met} of {len(lines)} carry {TCP_DOWN.floor} of the bare engine both ways; Mbit/s; {took:.0f} s")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.kinds", description="Each kind beside its bare engine.")
    parser.add_argument("--only", action="append", choices=ways.SERVERS, help="repeatable; any of the lab's servers")
    parser.add_argument("--brief", action="store_true", help="one turn of each: whether it can be measured at all")
    return parser.parse_args()


def measured(name: str, effort: Effort) -> Line:
    with Lab.up((name,)) as lab, Box(lab, [name]) as box:
        box.wait_open(name)
        lab.iperf_server()
        ways.open_ports(lab.net.hosts.values())
        ours, bare = ways.ours(lab, box, name), ways.bare(lab, 1, name)
        cores.apart(lab, [ours.router, bare.router])
        rows = []
        for kind in (TCP_DOWN, TCP_UP):
            mine, base = take_turns(lab.phone, kind, ours, bare, effort, kind.floor)
            rows.append(Row(kind.name, mine, base, floor=kind.floor))
    return Line(name, *rows)


def _both(row: Row) -> str:
    assert row.base
    return f"{row.measured.median:.0f} / {row.base.median:.0f}"


def _aligned(cells: tuple[str, ...]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, (*WIDTHS, 0), strict=True)).rstrip()


if __name__ == "__main__":
    sys.exit(main())
