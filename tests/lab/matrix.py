"""The diagnosis matrix: every censor of the lab, the verdict that routerctl gives, and the one that is right.

python -m tests.lab.matrix               every cell once
python -m tests.lab.matrix --runs 200    the quick cells, again and again, with 5 % of all packets lost
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from . import censor, internet
from .box import Box
from .censor import Censor
from .lab import Lab
from .topology import SITE, SITES, static_wan

TRANSPORTS = ("trojan", "ss2022", "hysteria2")
HOST, BLOCKED = "blocked.example", SITE["blocked.example"]
BODY = f"https://{HOST}/blob/256000"
ADDRESSES = (BLOCKED.address4, BLOCKED.address6)
LOSS = 5  # percent, each way
Trouble = Callable[[Lab], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Cell:
    """`server`: the diagnosis is of this transport's own server. `heavy`: the transports are hit, too."""

    name: str
    verdict: str
    trouble: Trouble
    ask: str = BODY
    server: str = ""
    heavy: bool = False


def by(*censors: Censor) -> Trouble:
    return lambda lab: lab.censor(*censors)


@contextmanager
def nothing(lab: Lab) -> Iterator[None]:
    yield


@contextmanager
def target_down(lab: Lab) -> Iterator[None]:
    """Beyond the border: whoever asks gets no answer."""
    rule = f"ip daddr {BLOCKED.address4} drop"
    lab.sites.run(["nft", f"table inet dead {{ chain in {{ type filter hook input priority 0; {rule}; }}; }}"])
    try:
        yield
    finally:
        lab.sites.run(["nft", "delete", "table", "inet", "dead"])


@contextmanager
def cable_out(lab: Lab) -> Iterator[None]:
    lab.isp.run(["ip", "link", "set", "cust0", "down"])
    try:
        yield
    finally:
        lab.isp.sh("ip link set cust0 up; ip -6 addr replace 2001:db8:7::1/64 dev cust0 nodad")
        lab.isp.sh("ip -6 route replace fd77:77:77::/64 via 2001:db8:7::2")
        lab.isp.sh("ip route replace 192.168.77.0/24 via 100.64.7.2")
        static_wan(lab.router)


@contextmanager
def no_lease(lab: Lab) -> Iterator[None]:
    lab.router.sh("ip addr flush dev wan0 scope global")
    try:
        yield
    finally:
        static_wan(lab.router)


@contextmanager
def clock_wrong(lab: Lab) -> Iterator[None]:
    """The box lives a year before everybody else: each certificate is not valid yet."""
    sites = [site for site in SITES if not site.domestic]
    internet.reissue(lab.sites, sites, lab.ca, timedelta(days=365))
    try:
        yield
    finally:
        internet.reissue(lab.sites, sites, lab.ca, timedelta())


def stopped(name: str) -> Trouble:
    @contextmanager
    def trouble(lab: Lab) -> Iterator[None]:
        lab.server(name).stop()
        try:
            yield
        finally:
            lab.server(name).start()

    return trouble


def gone(name: str) -> Trouble:
    def trouble(lab: Lab) -> AbstractContextManager[None]:
        return lab.censor(censor.ip_drop([lab.server(name).address4, lab.server(name).address6]))

    return trouble


NAME = f"{TRANSPORTS[0]}.servers.example"
CELLS: tuple[Cell, ...] = (
    Cell("nobody in the way", "not_blocked", nothing),
    Cell("5 % loss", "not_blocked", by(censor.loss(LOSS))),
    Cell("DNS lies: a block page's address", "dns_tampered", by(censor.dns_lies([HOST]))),
    Cell("DNS lies: no such name", "dns_tampered", by(censor.dns_lies([HOST], []))),
    Cell("address dropped", "ip_blocked", by(censor.ip_drop(ADDRESSES))),
    Cell("address reset", "ip_blocked", by(censor.reset_injected(BLOCKED.address4))),
    Cell("port 443 dropped", "port_blocked", by(censor.port_drop("tcp", 443)), heavy=True),
    Cell("port 80 dropped", "http_blocked", by(censor.port_drop("tcp", 80))),
    Cell("reset on SNI, naive", "tcp_reset_on_sni", by(censor.sni_reset([HOST]))),
    Cell("reset on SNI, reassembling", "tcp_reset_on_sni", by(censor.sni_reset([HOST], True))),
    Cell("silence after ClientHello, naive", "silent_drop_after_clienthello", by(censor.sni_blackhole([HOST]))),
    Cell("silence, reassembling", "silent_drop_after_clienthello", by(censor.sni_blackhole([HOST], True))),
    Cell("reset on HTTP Host", "http_blocked", by(censor.host_reset([HOST]))),
    Cell("UDP 443 dropped", "udp_blocked", by(censor.quic_drop())),
    Cell("all UDP but DNS dropped", "udp_blocked", by(censor.udp_drop())),
    Cell("throttled to 2 KB/s", "throttled", by(censor.throttle(BLOCKED.address4, 16))),
    Cell("frozen after 20 KB", "frozen_after_n_kb", by(censor.freeze_after(20_000, ADDRESSES))),
    Cell("forged certificate", "tls_intercepted", by(censor.forged_certificate(BLOCKED.address4))),
    Cell("block page", "block_page", by(censor.block_page(BLOCKED.address4))),
    Cell("site down for everyone", "target_down", target_down),
    Cell("no such site", "target_down", nothing, ask="nowhere.example"),
    Cell("server stopped", "server_dead_for_everyone", stopped("trojan"), server="trojan", heavy=True),
    Cell("server without TLS stopped", "server_dead_for_everyone", stopped("ss2022"), server="ss2022", heavy=True),
    Cell("server of UDP stopped", "server_dead_for_everyone", stopped("hysteria2"), server="hysteria2", heavy=True),
    Cell("server without TLS dropped", "ip_blocked", gone("ss2022"), server="ss2022", heavy=True),
    Cell("server's address dropped", "ip_blocked", gone("trojan"), server="trojan", heavy=True),
    Cell("server's name reset", "tcp_reset_on_sni", by(censor.sni_reset([NAME])), server="trojan", heavy=True),
    Cell("server's UDP dropped", "udp_blocked", by(censor.udp_drop()), server="hysteria2", heavy=True),
    Cell("national network", "national_network_only", by(censor.national_network()), heavy=True),
    Cell("captive portal", "captive_portal", by(censor.captive_portal()), heavy=True),
    Cell("total outage", "wan_down", by(censor.total_outage()), heavy=True),
    Cell("cable out", "wan_down", cable_out, heavy=True),
    Cell("no lease", "no_lease", no_lease, heavy=True),
    Cell("clock wrong", "clock_wrong", clock_wrong, heavy=True),
)


def ask(box: Box, cell: Cell, *options: str) -> dict[str, Any]:
    """What `routerctl diagnose --json` says."""
    who = [cell.server, "--server"] if cell.server else [cell.ask]
    argv = [str(Path(sys.executable).parent / "routerctl"), "--socket", str(box.socket), "diagnose", *who, "--json", *options]
    done = box.lab.router.run(argv, timeout=45, check=False)
    if done.returncode:
        return {"verdict": "refused", "explanation": done.stderr.strip(), "stages": [], "through": []}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def tried(box: Box, cell: Cell) -> dict[str, Any]:
    """All is well, the censor strikes, and the owner asks. A server's control are the other transports."""
    box.wait_open(seconds=90)
    if cell.server:
        all_warm(box)
    with cell.trouble(box.lab):
        return ask(box, cell)


def all_warm(box: Box) -> None:
    """What failed in the cell before would rest for a minute: the settings lose it and get it back, and it is forgotten."""
    if any(one["state"] != "up" for one in box.status()["transports"]):
        for names in ((), TRANSPORTS):
            box.write(names)
            box.ask("POST", "/reload")
    box.wait_warm(len(TRANSPORTS), seconds=60)


def show(answer: dict[str, Any]) -> str:
    lines = [f"    {answer['explanation']}"]
    lines += [f"    {s['stage']:16} {s['way']:10} {s['ok']!s:6} {s['ms']:6} ms  {s['detail']}" for s in answer["stages"]]
    return "\n".join(lines)


def once(box: Box, cells: Sequence[Cell], verbose: bool) -> list[str]:
    wrong = []
    for cell in cells:
        began = time.monotonic()
        answer = tried(box, cell)
        right = answer["verdict"] == cell.verdict
        seconds = time.monotonic() - began
        print(f"{'ok   ' if right else 'WRONG'} {cell.name:34} {answer['verdict']:30} {seconds:5.1f} s", flush=True)
        if not right or verbose:
            print(f"    wanted {cell.verdict}\n{show(answer)}", flush=True)
        wrong += [] if right else [cell.name]
    return wrong


def under_loss(box: Box, runs: int) -> list[str]:
    """The quick cells in turn; loss hits experiment, control and transports alike."""
    cells = [cell for cell in CELLS if not cell.heavy and "loss" not in cell.name]
    wrong, seconds = [], []
    with box.lab.censor(censor.loss(LOSS)):
        for number in range(runs):
            cell = cells[number % len(cells)]
            began = time.monotonic()
            answer = tried(box, cell)
            seconds.append(time.monotonic() - began)
            if answer["verdict"] != cell.verdict:
                wrong.append(cell.name)
                print(f"run {number}: WRONG {cell.name}: {answer['verdict']}\n{show(answer)}", flush=True)
            elif number % 20 == 19:
                print(f"{number + 1} runs, {len(wrong)} wrong", flush=True)
    print(f"under {LOSS} % loss: {len(wrong)} of {runs} wrong ({100 * len(wrong) / runs:.1f} %); {dict(Counter(wrong))}")
    print(f"seconds for a diagnosis: median {sorted(seconds)[runs // 2]:.1f}, longest {max(seconds):.1f}")
    return wrong


@contextmanager
def standing() -> Iterator[Box]:
    with Lab.up(TRANSPORTS) as lab:
        lab.censor.forge()
        with Box(lab, TRANSPORTS) as box:
            box.wait_open(TRANSPORTS[0])
            box.wait_warm(len(TRANSPORTS))
            yield box


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.matrix")
    parser.add_argument("--runs", type=int, default=0, help="so many diagnoses of the quick cells, under loss")
    parser.add_argument("--only", default="", help="cells with this word in their name")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    cells = [cell for cell in CELLS if arguments.only in cell.name]
    with standing() as box:
        wrong = under_loss(box, arguments.runs) if arguments.runs else once(box, cells, arguments.verbose)
    limit = arguments.runs // 100
    print("right in every cell" if not wrong else f"wrong: {', '.join(sorted(set(wrong)))}")
    return 1 if len(wrong) > limit else 0


if __name__ == "__main__":
    sys.exit(main())
