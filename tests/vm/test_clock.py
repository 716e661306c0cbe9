"""Fault 53 with real clocks: the box in a virtual machine whose clock is set, everything else outside with the right one.

The lab's sites and servers run on this machine, whose time is right and is not touched. Its router is QEMU: the guest's
only line (user-mode network, so IPv4, TCP and UDP) ends in the router's namespace. So each server judges the box's
timestamps by the right time, as on the Internet. Run by tests/vm/run.sh, which gives CLOCK_KERNEL; in the guest of the
other tests this file is not collected.
"""

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab
from tests.lab.box import SOURCES

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("CLEARWAY_VM_CACHE", Path.home() / ".cache/clearway-vm"))
SECONDS = 3600  # for all cases; half a minute each
MODULES = "wireguard tun nf_conntrack veth virtio_net"
YEAR = 365 * 86400
ALL = "ss ss2022 vmess-ws vless-tls vless-reality trojan hysteria2 wireguard"
KINDS = os.environ.get("CLOCK_KINDS", ALL).split()
OFFSETS = {"-1y": -YEAR, "+1y": YEAR, "+20y": 20 * YEAR}
SETTINGS = """
[wan]
interface = "wan0"
[lan]
interface = "br-lan"
address = "192.168.77.1/24"
[dns]
resolvers = ["https://192.0.2.53/dns-query", "https://192.0.2.54/dns-query"]
[watchdog]
targets = ["https://probe.example/generate_204", "https://probe2.example/generate_204"]
[time]
sources = [{sources}]
[[transport]]
name = "{name}"
{key} = \"\"\"{link}\"\"\"
"""


def settings(lab: Lab, kind: str, sources: bool = True) -> str:
    link = lab.server(kind).link
    named = ", ".join(f'"https://{source}/"' for source in SOURCES) if sources else ""
    return SETTINGS.format(name=kind, link=link, key="uri" if "://" in link.splitlines()[0] else "config", sources=named)


def cases(lab: Lab) -> list[dict[str, Any]]:
    plain = [
        {"name": f"{kind} {words}", "settings": settings(lab, kind), "offset": offset}
        for kind in KINDS
        for words, offset in OFFSETS.items()
    ]
    stepped = [{"name": f"{kind} step", "settings": settings(lab, kind), "offset": 0, "step": -3600} for kind in KINDS]
    return [*plain, *stepped]


@pytest.fixture(scope="module")
def found() -> Iterator[dict[str, dict[str, Any]]]:
    """What the guest says of each case, by its name."""
    with Lab.up(KINDS) as lab, tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps({"ca": lab.ca_file.read_text(), "cases": cases(lab)}))
        (folder / "found.jsonl").touch()
        run_guest(lab, folder)
        yield {one["name"]: one for one in map(json.loads, (folder / "found.jsonl").read_text().splitlines())}


def run_guest(lab: Lab, folder: Path) -> None:
    """To its end. What it said is shown."""
    kernel = Path(os.environ["CLOCK_KERNEL"])
    release = next((kernel / "lib/modules").iterdir()).name
    inside = f"{shlex.join([sys.executable, '-m', 'tests.vm.clock_guest', str(folder)])} >{folder}/said 2>&1"
    argv = [str(CACHE / "venv/bin/vng"), "--run", str(kernel / f"boot/vmlinuz-{release}"), "--root", "/", "--disable-kvm",
            "--force-9p", f"--overlay-rwdir={ROOT}", f"--rwdir={folder}", "--cpus", "2", "--memory", "2G",
            "--network", "user", "--no-dhcp",
            "--append", "rootflags=version=9p2000.L,trans=virtio,access=any,msize=512000,cache=loose",
            "--exec", f"modprobe -a {MODULES}; cd {shlex.quote(str(ROOT))} && PYTHONDONTWRITEBYTECODE=1 {inside}"]
    path = f"{CACHE}/venv/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
    guest = lab.router.popen(argv, log="guest", env={"HOME": str(Path.home()), "PATH": path})
    guest.wait(SECONDS)
    print((folder / "said").read_text()[-4000:], (lab.router.directory / "guest.log").read_text()[-4000:])


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("kind", KINDS)
def test_fault_53_each_kind_is_back_once_the_clock_is_right(
    found: dict[str, dict[str, Any]], kind: str, offset: str
) -> None:
    one = found[f"{kind} {offset}"]
    print(one)
    assert one["right"] <= 60
    assert one["through"] <= 120


@pytest.mark.parametrize("kind", KINDS)
def test_fault_53_a_clock_that_is_set_back_while_up_is_put_right_again(
    found: dict[str, dict[str, Any]], kind: str
) -> None:
    step = found[f"{kind} step"]["step"]
    print(step)
    assert step["right"] <= 10
    assert step["through"] <= 20
