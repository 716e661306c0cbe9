"""`routerctl diagnose`: each censor of the matrix is named, and a diagnosis shows nobody more than it must."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import censor
from .box import Box
from .capture import Allowed
from .household import Load
from .matrix import BLOCKED, CELLS, HOST, Cell, all_warm, ask, nothing, show, standing, tried
from .net import wait_until
from .topology import ISP_RESOLVER4, RESOLVERS4, SITE

OF_THE_DIAGNOSIS = "0x72000000"
ASKED = Cell("", "", nothing)
# Their verdict is another cell's too, and `make matrix` has them all.
LEFT_TO_THE_MATRIX = {
    *("5 % loss", "port 443 dropped", "port 80 dropped", "silence, reassembling", "all UDP but DNS dropped"),
    *("server without TLS stopped", "server without TLS dropped", "server of UDP stopped", "server's address dropped"),
    *("site down for everyone", "total outage", "UDP 443 dropped", "server's name reset"),
}


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with standing() as box:
        yield box


@pytest.mark.parametrize("cell", [c for c in CELLS if c.name not in LEFT_TO_THE_MATRIX], ids=lambda c: c.name)
def test_the_cause_is_named(box: Box, cell: Cell) -> None:
    answer = tried(box, cell)
    assert answer["verdict"] == cell.verdict, show(answer)


def test_every_verdict_that_a_censor_can_cause_is_in_the_matrix() -> None:
    from routerd.problems import VERDICTS

    assert {cell.verdict for cell in CELLS} == set(VERDICTS) - {"inconclusive"}


def test_the_answer_has_the_stages_both_ways_and_what_gets_through(box: Box) -> None:
    all_warm(box)
    answer = ask(box, ASKED)
    assert answer["host"] == HOST
    direct, through = ({s["stage"] for s in answer["stages"] if (s["way"] == "direct") == so} for so in (True, False))
    assert direct >= {"dns", "tcp", "tls", "tls, other name", "http", "quic", "body"}
    assert through >= {"dns", "tls", "http", "quic", "body"}
    assert {one["transport"] for one in answer["through"]} == {"trojan", "ss2022", "hysteria2"}
    assert all(one["ok"] and one["ms"] >= 0 for one in answer["through"])


def test_through_only_shows_the_provider_nothing(box: Box) -> None:
    with_ours = [box.lab.server(name) for name in box.transports]
    capture = box.lab.capture(with_ours)
    try:
        all_warm(box)
        answer = ask(box, ASKED, "--through-only")
    finally:
        verdict = capture.stop()
    assert verdict.clean, str(verdict)
    assert {s["way"] for s in answer["stages"]} <= {"trojan", "ss2022", "hysteria2"}
    assert [one["ok"] for one in answer["through"]] == [True] * 3


def test_in_clear_go_the_host_the_references_and_the_resolvers_and_no_more(box: Box) -> None:
    references = [Allowed(SITE[name].address4, "tcp") for name in ("probe.example", "probe2.example", "open.example")]
    asked = [Allowed(BLOCKED.address4, "tcp"), Allowed(BLOCKED.address4, "udp", 443)]
    resolvers = [Allowed(ISP_RESOLVER4, "udp", 53), *(Allowed(address, "tcp", 443) for address in RESOLVERS4)]
    servers = [box.lab.server(name) for name in box.transports]
    capture = box.lab.capture([*servers, *references, *asked, *resolvers])
    blind = box.lab.capture(servers)  # the control: the same capture sees a leak when none of it is allowed
    try:
        with Load(box.lab, udp_pps=500) as load:  # whose packets carry the run's canary
            wait_until(lambda: sum(load.counts().answered.values()) > 100, 15, "the household is served")
            ask(box, ASKED)
            ask(box, ASKED)
    finally:
        verdict, seen = capture.stop(), blind.stop()
    assert verdict.clean, str(verdict)
    assert not seen.clean


def test_afterwards_the_ruleset_knows_no_diagnosis_and_nothing_is_written(box: Box) -> None:
    ask(box, ASKED)
    wait_until(lambda: OF_THE_DIAGNOSIS not in _policy(box), 3, "the way is closed again")
    words = (HOST, BLOCKED.address4, "not_blocked")
    told = [str(box.status()), str(box.ask("GET", "/log")), (box.lab.router.directory / "routerd.log").read_text()]
    told += [file.read_text(errors="replace") for file in Path(box.folder / "state").rglob("*") if _is_new(file)]
    assert [word for word in words for text in told if word in text] == []


def _policy(box: Box) -> str:
    return box.lab.router.run(["nft", "-s", "list", "table", "inet", "clearway"]).stdout


def _is_new(file: Path) -> bool:
    return file.is_file() and "last-good" not in file.name  # the settings have a canary of this name


def _begun(box: Box, *words: str) -> subprocess.Popen[str]:
    argv = ["curl", "-sS", "--max-time", "40", "--unix-socket", str(box.socket), "-d", '{"host": "%s"}' % HOST]
    child = box.lab.router.popen([*argv, *words, "http://box/diagnose"], log="begun")
    wait_until(lambda: OF_THE_DIAGNOSIS in _policy(box), 5, "it has begun")
    return child


def test_while_one_is_under_way_there_is_no_other_and_no_device_gets_a_way_out_in_clear(box: Box) -> None:
    """The mark is the box's own: a packet of the phone's goes into an exit, or nowhere."""
    marked = ["python3", "-c", MARKED, SITE["open.example"].address4]
    exits = [box.lab.server(name).address4 for name in box.transports]
    wait_until(lambda: OF_THE_DIAGNOSIS not in _policy(box), 5, "no diagnosis is under way")
    assert box.lab.router.run(marked).stdout.strip() == "refused by our own box"
    with box.lab.censor(censor.ip_drop([BLOCKED.address4])), _begun(box) as first:
        assert box.ask("POST", "/diagnose", {"host": HOST})["error"]["code"] == "busy"
        assert box.lab.router.run(marked).stdout.strip() == "connected"
        answer = box.lab.phone.curl("https://open.example/ip", "-4")
        assert answer.stdout.strip() in exits, answer
        first.kill()
    wait_until(lambda: OF_THE_DIAGNOSIS not in _policy(box), 31, "it ends by itself though its asker went away")


MARKED = """
import socket, sys
s = socket.socket(); s.settimeout(3); s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0x72000000)
try:
    s.connect((sys.argv[1], 443)); print("connected")
except PermissionError:
    print("refused by our own box")
"""


def test_a_host_that_is_none_is_refused_in_one_line(box: Box) -> None:
    assert box.ask("POST", "/diagnose", {"host": "no host"})["error"]["code"] == "host"
    assert box.ask("POST", "/diagnose", {"transport": "nobody"})["error"]["code"] == "unknown_transport"
