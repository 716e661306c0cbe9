"""routerd on the lab's router, struck and made whole again."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from bench.failover.household import Household
from bench.failover.measure import Struck, measure
from bench.failover.strikes import Scene, Strike
from tests.lab import Lab, LabError
from tests.lab.box import Box
from tests.lab.topology import LAN_ROUTER4

TRANSPORTS = ("ss2022", "trojan", "hysteria2", "wireguard")
SPREAD = 3.0  # seconds: longer than the pause between two probes of the active transport
FORGET = 0.5  # seconds in which the daemon has surely applied what it was told


def window(strike: Strike) -> float:
    """Seconds that ours is given: twice what was asked."""
    return max(20.0, 2 * strike.late)


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the journal, and when it arrived here. The daemon sends it after it has applied its decision."""

    at: float
    kind: str
    text: str


@dataclass(slots=True)
class Ours:
    """A Box with its journal heard as it is spoken."""

    lab: Lab
    box: Box
    household: Household
    said: list[Said] = field(default_factory=list)

    def strike(self, strike: Strike, number: int) -> Struck:
        order = strike.order(number)
        self.prefer((*order, *(name for name in TRANSPORTS if name not in order)))
        self.said.clear()
        scene = Scene(self.lab, self.lab.server(order[0]), lambda: self._engine(order[0]))
        struck = measure(self.household, lambda: scene, strike, SPREAD, window(strike))
        moved = next((s for s in list(self.said) if s.at > struck.at and s.kind == "switch"), None)
        if moved is None:
            return struck
        return replace(struck, decided=moved.at - struck.at, to=moved.text.rpartition(" ")[2])

    def prefer(self, order: tuple[str, ...]) -> None:
        """The first of these is active, fresh, and the rest are warm; what happened to them before is forgotten.

        By the owner's means: the settings lose the first, and get it back.
        """
        for names in (order[1:], order):
            self.box.write(names)
            self.box.ask("POST", "/reload")
            time.sleep(FORGET)
        try:
            self._warm(order, 15)
        except LabError:  # the rest of one that failed several times lasts a minute
            self.box.stop()
            self.box.start()
            self._warm(order, 30)
            self._hear()

    def _warm(self, order: tuple[str, ...], seconds: float) -> None:
        self.box.wait(
            lambda s: s["active"] == order[0] and all(t["state"] == "up" for t in s["transports"]), seconds, "all warm"
        )

    def _engine(self, name: str) -> int:
        port = 12301 + TRANSPORTS.index(name)  # slots are kept over reloads
        found = self.lab.router.run(["ss", "-Hltnp", f"sport = :{port}"]).stdout
        return int(found.split("pid=")[1].split(",")[0])

    def _hear(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Until the daemon ends."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.box.socket))
            sock.sendall(b"GET /events HTTP/1.1\r\nHost: box\r\n\r\n")
            kind = ""
            for line in sock.makefile():
                if line.startswith("event: "):
                    kind = line.split()[1]
                elif line.startswith("data: ") and kind == "journal":
                    said = json.loads(line[6:])
                    self.said.append(Said(time.monotonic(), said["kind"], said["text"]))


@contextmanager
def ours(lab: Lab) -> Iterator[Ours]:
    with Box(lab, TRANSPORTS, standby=len(TRANSPORTS) - 1) as box, Household(lab, LAN_ROUTER4) as household:
        box.wait_warm(len(TRANSPORTS))
        made = Ours(lab, box, household)
        made._hear()
        yield made
