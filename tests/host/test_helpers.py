"""Programs that an engine starts by itself: the first that is on the box is told of, and one that is not is named."""

from pathlib import Path

import pytest

from routerd.host import helpers
from routerd.host.engines import EngineMissing
from routerd.links.bridges import bridges

LINE = f"webtunnel [2001:db8::1]:443 {'AB' * 20} url=https://w.example/x ver=0.0.1"
PLAIN = f"192.0.2.2:9001 {'CD' * 20}"
MEEK = "meek_lite 192.0.2.20:80 url=https://m.example/"
LAUNCH = bridges([LINE, PLAIN, MEEK]).launch("tor", 1)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(helpers, "PATH", str(tmp_path))
    return tmp_path


def install(box: Path, *names: str) -> None:
    for name in names:
        (box / name).touch(0o755)


def test_the_first_of_the_programs_that_is_here_is_taken(box: Path) -> None:
    install(box, "lyrebird")
    assert f"ClientTransportPlugin webtunnel exec {box}/lyrebird\nBridge {LINE}\n" in helpers.configured(LAUNCH.helpers)
    install(box, "webtunnel-client")
    assert f"ClientTransportPlugin webtunnel exec {box}/webtunnel-client\nBridge {LINE}\n" in helpers.configured(LAUNCH.helpers)
    assert helpers.missing(LAUNCH.helpers) == ""


def test_without_a_single_one_what_needs_one_is_not_begun(box: Path) -> None:
    assert bridges([LINE, MEEK]).launch("tor", 1).needs_one
    assert not LAUNCH.needs_one
    assert not bridges([]).launch("tor", 1).needs_one
    with pytest.raises(EngineMissing, match="webtunnel bridges: package webtunnel or lyrebird"):
        helpers.check(LAUNCH.helpers)


def test_what_is_not_here_is_left_out_with_its_bridges_and_named_once(box: Path) -> None:
    install(box, "obfs4proxy")
    assert helpers.configured(LAUNCH.helpers) == f"ClientTransportPlugin meek_lite exec {box}/obfs4proxy\nBridge {MEEK}\n"
    assert PLAIN in LAUNCH.stdin
    assert LINE not in LAUNCH.stdin
    helpers.check(LAUNCH.helpers)
    assert helpers.missing([*LAUNCH.helpers, *LAUNCH.helpers]) == "webtunnel bridges: package webtunnel or lyrebird"
