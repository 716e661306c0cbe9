"""What every fault is judged by: load while it happens, a capture of the whole scenario, and a verdict without a leak."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .antitest import KINDS, anti_test
from .box import Box
from .household import Load
from .lab import Lab
from .net import wait_until

LEAST = 1000  # UDP packets a second during a fault
PUT_BACK = "ip rule add pref 32766 lookup main; ip -6 rule add pref 32766 lookup main"


@dataclass(frozen=True, slots=True)
class Scene:
    lab: Lab
    box: Box
    load: Load

    def answered(self) -> int:
        return sum(self.load.counts().answered.values())


def prove_the_detector(lab: Lab) -> None:
    """A run whose anti-test did not fire is a failed run."""
    assert anti_test(lab) >= KINDS


@contextmanager
def scene(lab: Lab, box: Box, pps: int = LEAST) -> Iterator[Scene]:
    """The household sends all the while; at the end there must be no leak, and the household must have been served."""
    capture = lab.capture([lab.server(name) for name in box.transports], [lab.token])
    try:
        with Load(lab, udp_pps=pps) as load:
            found = Scene(lab, box, load)
            wait_until(lambda: found.answered() > 300, 15, "the household is served before the fault")
            yield found
    finally:
        verdict = capture.stop()
    counts = load.counts()
    seconds = counts.ended - counts.began - load.linger  # at the end it only listens
    print(f"{verdict}; sent {counts.sent}, answered {counts.answered}")
    assert verdict.clean, str(verdict)
    assert counts.sent["udp4"] >= 0.9 * pps * seconds, "the load was lighter than it should be"
    assert found.answered() > 0, "nobody was served at all"
