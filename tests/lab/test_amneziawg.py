"""AmneziaWG on the wire, and a box whose awg is older than the file: the next way carries, and what is wrong is said."""

import contextlib
import re
import shutil
from collections.abc import Iterator

import pytest

from routerd.host.engines import PATH
from routerd.links import parse

from . import censor
from .box import Box
from .lab import Lab
from .net import LabError

SERVERS = ["ss2022", "wireguard"]
BY_LOOKS = 8.0  # seconds that a box gets for what must not open
HANDSHAKE = 148  # bytes of WireGuard's first message
pytestmark = pytest.mark.needs("amneziawg")


@pytest.fixture
def there(lab: Lab) -> Iterator[str]:
    server = lab.server("amneziawg")
    server.start()
    yield server.name
    server.stop()


def test_who_drops_wireguard_by_its_looks_stops_the_plain_one_and_not_this(lab: Lab, there: str) -> None:
    with lab.censor(censor.wireguard_drop()):
        with Box(lab, ["wireguard"]) as box, pytest.raises(LabError):
            box.wait_open("wireguard", BY_LOOKS)
        with Box(lab, [there]) as box:
            box.wait_open(there)
            answer = lab.phone.curl("https://blocked.example/ip", "-4")
            assert answer.stdout.strip() == lab.server(there).address4, answer.stderr


def test_its_first_packets_have_neither_the_sizes_nor_the_beginnings_of_wireguards(lab: Lab, there: str) -> None:
    server = lab.server(there)
    terms: dict[str, str] = dict(getattr(parse(server.link).transport, "terms", ()))
    capture = lab.capture([server])
    with Box(lab, [there]) as box:
        box.wait_open(there)
        seen = capture.payloads(server.address4)
    capture.stop()  # whether it is clean test_kinds.py says
    count = int(terms["Jc"])
    print("the first packets, bytes:", [len(payload) for payload in seen[: count + 2]])
    begin = re.match(r"<b 0x([0-9a-f]+)>", terms["I1"])
    assert begin and seen[0].startswith(bytes.fromhex(begin[1]))
    junk = [len(payload) for payload in seen[1 : count + 1]]
    assert all(int(terms["Jmin"]) <= size <= int(terms["Jmax"]) for size in junk), junk
    assert len(seen[count + 1]) == HANDSHAKE + int(terms["S1"])
    assert not {bytes([kind, 0, 0, 0]) for kind in (1, 2, 3, 4)}.intersection(payload[:4] for payload in seen)


def test_a_tool_that_does_not_know_its_terms_is_named_no_key_is_and_the_next_way_carries(lab: Lab, there: str) -> None:
    """As an awg that is older than the file: wg."""
    with instead(lab, "awg", "wg"), Box(lab, [there, "ss2022"]) as box:
        box.wait_open("ss2022")
        [shown, _] = box.status()["transports"]
        assert shown["last_error"] == "awg setconf: Line unrecognized: Jc; Configuration parsing error", shown
        assert "links" not in [problem["code"] for problem in box.status()["problems"]]
        answer = lab.phone.curl("https://blocked.example/ip", "-4")
        assert answer.stdout.strip() == lab.server("ss2022").address4, answer.stderr


@contextlib.contextmanager
def instead(lab: Lab, program: str, other: str) -> Iterator[None]:
    """The router has `other` by the name of `program`."""
    path, other = (str(shutil.which(name, path=PATH)) for name in (program, other))
    lab.router.run(["mount", "--bind", other, path])
    try:
        yield
    finally:
        lab.router.run(["umount", path])
