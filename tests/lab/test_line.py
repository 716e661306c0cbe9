"""A late line and failing probe targets do what they say, seen from the phone behind a router that only forwards."""

import time

import pytest

from tests.lab import Lab, target
from tests.lab.jitter import jitter
from tests.lab.topology import SITE

SITE4 = SITE["probe2.example"].address4
URL = "https://probe2.example/generate_204"
STATUS = ("-4", "-o", "/dev/null", "-w", "%{http_code}")
WRONG_CERTIFICATE, TIMEOUT = 60, 28  # curl's exit codes


def pings(lab: Lab, count: int = 20) -> list[float]:
    """Milliseconds that each took."""
    out = lab.phone.sh(f"ping -n -i 0.1 -c {count} -W 2 {SITE4}")
    return [float(line.split("time=")[1].split()[0]) for line in out.splitlines() if "time=" in line]


@pytest.mark.parametrize("overtake", [False, True])
def test_a_late_line_is_late_by_fits(plain: Lab, overtake: bool) -> None:
    with jitter(plain, 0.3, overtake):
        late = pings(plain)
        began = time.monotonic()
        assert [plain.phone.curl(URL, *STATUS).stdout for _ in range(3)] == ["204"] * 3
        assert time.monotonic() - began > 0.6  # three round trips and more, of each; one of them may be lucky
    assert len(late) > 15  # while a flow's first packet waits the ISP's conntrack knows no flow, and drops the next ones
    assert 150 < sum(late) / len(late) < 450  # two times 0 to 300
    assert max(late) - min(late) > 100
    assert sorted(pings(plain))[10] < 50  # of twenty; a busy machine is late with some


def test_a_target_that_is_down_is_silent_and_the_others_are_not(plain: Lab) -> None:
    with target.down(plain, "probe2.example"):
        assert plain.phone.curl(URL, "-4", timeout=0.7).returncode == TIMEOUT
        assert plain.phone.curl("https://probe.example/generate_204", *STATUS).stdout == "204"
    assert plain.phone.curl(URL, *STATUS).stdout == "204"


def test_a_forged_target_shows_another_certificate(plain: Lab) -> None:
    with target.forged(plain, "probe2.example"):
        assert plain.phone.curl(URL, "-4").returncode == WRONG_CERTIFICATE
    assert plain.phone.curl(URL, *STATUS).stdout == "204"


def test_a_changed_target_answers_otherwise_under_its_own_certificate(plain: Lab) -> None:
    with target.changed(plain, "probe2.example"):
        assert plain.phone.curl(URL, *STATUS).stdout == "200"
    assert plain.phone.curl(URL, *STATUS).stdout == "204"
