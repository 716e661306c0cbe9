"""What every fault is judged by: a detector that is proven first, load while it happens, a capture of the whole
scenario, and a verdict without a leak.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .antitest import KINDS, anti_test
from .box import Box
from .capture import Allowed, Capture
from .household import Load
from .lab import Lab
from .net import wait_until
from .servers import Server

ROOT = Path(__file__).parents[2]
LEAST = 1000  # UDP packets a second during a fault
SETS = {"proxy": ["ss2022", "trojan"], "link": ["wireguard", "ss2022"]}
SERVERS = ["ss2022", "trojan", "wireguard"]
SITE = "198.51.100.10"
PUT_BACK = "ip rule add pref 32766 lookup main; ip -6 rule add pref 32766 lookup main"
# All that a product before left behind; the rules that every kernel begins with come back last.
FIREWALL_OFF = f"""
nft flush ruleset; ip rule flush; ip -6 rule flush; {PUT_BACK}
ip rule add pref 0 lookup local 2>/dev/null || true; ip -6 rule add pref 0 lookup local 2>/dev/null || true
for f in /proc/sys/net/ipv4/conf/*/forwarding; do echo 0 > $f; done
ip addr flush dev br-lan scope global
"""


@dataclass(frozen=True, slots=True)
class Scene:
    lab: Lab
    box: Box
    load: Load
    capture: Capture

    def answered(self) -> int:
        return sum(self.load.counts().answered.values())


def prove_the_detector(lab: Lab) -> None:
    """Each run begins with the firewall off: a run whose anti-test did not fire is a failed run."""
    lab.router.sh(FIREWALL_OFF)
    assert anti_test(lab) >= KINDS


@contextmanager
def home(
    lab: Lab, transports: Sequence[str], warm: int = 2, on_failure: str = "block", extra: str = "", by_name: bool = False
) -> Iterator[Box]:
    """The beginning of every run: the detector is proven on a plain router, then the product takes that router."""
    prove_the_detector(lab)
    with Box(lab, transports, on_failure=on_failure, extra=extra, by_name=by_name) as box:
        box.wait_warm(warm)
        yield box


@contextmanager
def scene(lab: Lab, box: Box, pps: int = LEAST, also: Sequence[Server | Allowed] = (), bulk: bool = False) -> Iterator[Scene]:
    """The household sends all the while; at the end there must be no leak, and the household must have been served.

    `also`: servers that the box gets to know later. `bulk`: there will be very many frames.
    """
    capture = lab.capture([*(lab.server(name) for name in box.transports), *also], bulk=bulk)
    try:
        with Load(lab, udp_pps=pps) as load:
            found = Scene(lab, box, load, capture)
            wait_until(lambda: found.answered() > 300, 15, "the household is served before the fault")
            yield found
    finally:
        verdict = capture.stop()
    counts = load.counts()
    print(f"{verdict}; sent {counts.sent}, answered {counts.answered}")
    assert verdict.clean, str(verdict)
    assert found.answered() > 0, "nobody was served at all"
    heavy_enough(load)


def heavy_enough(load: Load) -> None:
    counts = load.counts()
    seconds = counts.ended - counts.began - load.linger  # at the end it only listens
    assert counts.sent["udp4"] >= 0.9 * load.udp_pps * seconds, "the load was lighter than it should be"


def through(lab: Lab) -> bool:
    return lab.page_token("blocked.example") in lab.phone.curl("https://blocked.example/", "-m", "3").stdout


def engine(box: Box, port: int) -> int:
    """The process id of the engine behind this door."""
    found = box.lab.router.run(["ss", "-Hltnp", f"sport = :{port}"]).stdout
    return int(found.split("pid=")[1].split(",")[0])


def switches(box: Box) -> list[str]:
    """What the journal says of changes of transport."""
    return [line["text"] for line in box.ask("GET", "/log")["journal"] if line["kind"] == "switch"]
