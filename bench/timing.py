"""How long the kernel's part takes: policy apply with five transports, and a switch, in the router's namespace."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

from bench.report import Row, Samples
from tests.lab import Lab
from tests.lab.box import Box
from tests.lab.net import ROOT

FIVE = ("ss2022", "trojan", "wireguard", "vless-ws", "hysteria2")


def rows(lab: Lab, runs: int) -> Iterator[Row]:
    """Before any daemon runs there."""
    box = Box(lab, FIVE)
    box.write()
    argv = [sys.executable, "-m", "bench.kernel_times", str(box.config), str(box.folder), str(runs)]
    done = lab.router.run(argv, timeout=60 + runs, env=os.environ | {"SSL_CERT_FILE": str(lab.ca_file)}, cwd=ROOT)
    times = {name: Samples("ms", tuple(values)) for name, values in json.loads(done.stdout).items()}
    yield Row(f"switch, decision to kernel, n={runs}", times["switch"], ceiling=20.0)
    yield Row(f"policy apply, five transports, n={runs}", times["apply"], ceiling=100.0)
    yield Row("first apply with the start of all engines", times["cold"])
    for name in ("switch", "apply"):
        yield Row(f"{name}: 99th percentile", Samples("ms", (percentile(times[name].values, 99),)))


def percentile(values: tuple[float, ...], share: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]
