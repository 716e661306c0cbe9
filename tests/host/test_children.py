"""Children die with us, are replaced and stopped for good, and neither their noise nor their silence holds us up."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from routerd.host import engines
from routerd.host.children import Child, Children
from routerd.model import ENGINES
from routerd.transports.amneziawg import AmneziaWg
from tests.host.namespace import alone

Reports = list[tuple[str, str]]
SECRET = "s3cr3t"


def living(story: Callable[[Children, Reports], Awaitable[None]]) -> None:
    async def run() -> None:
        reports: Reports = []
        children = Children(lambda name, error: reports.append((name, error)))
        try:
            await story(children, reports)
        finally:
            await children.stop_all()

    asyncio.run(asyncio.wait_for(run(), 20))


def shell(script: str, name: str = "x", stdin: str = "") -> Child:
    return Child(name, ("sh", "-c", script), stdin)


def exists(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


async def until(true: Callable[[], object]) -> None:
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true within five seconds")


@alone
def test_those_that_end_by_themselves_while_they_are_stopped_are_gone_once() -> None:
    async def story(children: Children, reports: Reports) -> None:
        for turns in range(12):  # of the loop, between their end and the wish that they should stop
            await children.apply(shell("sleep 60", str(n)) for n in range(4))
            for pid in children.pids().values():
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
            for _ in range(turns):
                await asyncio.sleep(0)
            await children.apply([])
            assert children.pids() == {}

    living(story)


@alone
def test_equal_children_are_left_running_and_others_are_stopped() -> None:
    async def story(children: Children, reports: Reports) -> None:
        await children.apply([shell("sleep 60", "a"), shell("sleep 60", "b")])
        first = children.pids()
        await children.apply([shell("sleep 60", "a"), shell("sleep 61", "b")])
        second = children.pids()
        assert first["a"] == second["a"]
        assert first["b"] != second["b"]
        assert not exists(first["b"])
        await children.apply([])
        assert not exists(second["a"])
        assert reports == []

    living(story)


@alone
def test_a_child_that_ends_is_reported_with_its_last_line_and_may_be_started_again() -> None:
    async def story(children: Children, reports: Reports) -> None:
        child = shell("echo first >&2; echo 'address in use' >&2; exit 3")
        await children.apply([child])
        await until(lambda: reports)
        assert reports == [("x", "sh ended with status 3: address in use")]
        assert children.pids() == {}
        await children.apply([child])
        await until(lambda: len(reports) == 2)

    living(story)


@alone
def test_a_killed_child_is_reported_with_its_signal() -> None:
    async def story(children: Children, reports: Reports) -> None:
        await children.apply([shell("kill -SEGV $$")])
        await until(lambda: reports)
        assert reports == [("x", "sh was ended by SIGSEGV")]

    living(story)


@alone
def test_a_hung_child_is_killed_with_its_own_children() -> None:
    async def story(children: Children, reports: Reports) -> None:
        await children.apply([shell("trap '' TERM INT HUP; sleep 60 & sleep 60; wait")])
        pid = children.pids()["x"]
        await until(lambda: members(pid) >= 2)
        began = time.monotonic()
        await children.apply([])
        assert time.monotonic() - began < 2
        await until(lambda: members(pid) == 0)
        assert reports == []

    living(story)


def members(group: int) -> int:
    """Living processes of a process group."""
    count = 0
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == group and exists(int(entry.name)):
                count += 1
    return count


@alone
def test_an_engine_that_is_missing_is_reported_with_its_package() -> None:
    async def story(children: Children, reports: Reports) -> None:
        await children.apply([Child("x", ("no-such-engine",))])
        assert reports == [("x", "no-such-engine is not on this box; install Debian's package no-such-engine")]

    living(story)


@alone
def test_garbage_without_end_is_read_and_thrown_away() -> None:
    async def story(children: Children, reports: Reports) -> None:
        await children.apply([shell("head -c 30000000 /dev/urandom >&2; printf '\\033[31mred\\007 \\377end' >&2; exit 1")])
        await until(lambda: reports)
        (_, error), = reports
        assert len(error) < 300
        assert error.isprintable()

    living(story)


@alone
def test_a_child_that_reads_nothing_does_not_hold_us_up() -> None:
    async def story(children: Children, reports: Reports) -> None:
        began = time.monotonic()
        await children.apply([Child("x", ("sleep", "60"), "y" * 1_000_000)])
        await children.apply([])
        assert time.monotonic() - began < 2

    living(story)


@alone
def test_secrets_are_in_no_argv_and_no_environment() -> None:
    async def story(children: Children, reports: Reports) -> None:
        await children.apply([shell("cat >/dev/null; sleep 60", stdin=SECRET)])
        pid = children.pids()["x"]
        await until(lambda: b"sh\0" in Path(f"/proc/{pid}/cmdline").read_bytes())
        for what in ("cmdline", "environ"):
            assert SECRET.encode() not in Path(f"/proc/{pid}/{what}").read_bytes()
        assert SECRET not in repr(shell("x", stdin=SECRET))

    living(story)


@alone
def test_a_child_is_not_root_and_keeps_only_the_networks_capabilities() -> None:
    async def story(children: Children, reports: Reports) -> None:
        await children.apply([shell("exec sleep 60")])
        status = Path(f"/proc/{children.pids()['x']}/status")
        await until(lambda: "Name:\tsleep" in status.read_text())
        fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        assert fields["Uid"].split() == ["65534"] * 4
        assert fields["NoNewPrivs"] == "1"
        assert int(fields["CapBnd"], 16) == 1 << 10 | 1 << 12 | 1 << 13

    living(story)


@alone
def test_children_die_with_us() -> None:
    ours, theirs = os.pipe()
    parent = os.fork()
    if not parent:

        async def story(children: Children, reports: Reports) -> None:
            await children.apply([shell("exec sleep 60")])
            pid = children.pids()["x"]
            await until(lambda: "sleep" in Path(f"/proc/{pid}/comm").read_text())
            os.write(theirs, f"{pid}\n".encode())
            await asyncio.sleep(60)

        living(story)
    pid = int(os.read(ours, 20))
    assert exists(pid)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    asyncio.run(until(lambda: not exists(pid)))


def test_a_missing_engine_names_what_to_install() -> None:
    with pytest.raises(engines.EngineMissing, match="Debian's package"):
        engines.program("no-such-engine")


def test_an_engine_without_its_tool_is_no_use_and_what_debian_has_not_is_said_to_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "PATH", str(tmp_path))
    engines.program.cache_clear()
    for name, said in (("amneziawg-go", "amneziawg-go is not on"), ("awg", "awg is not on this box; Debian has no package of it: build")):
        assert said in engines.lacking(AmneziaWg.engine)
        (tmp_path / name).touch(0o755)
    assert engines.lacking(AmneziaWg.engine) == ""
    engines.program.cache_clear()


@alone
def test_a_childs_progress_is_told_and_nothing_else_of_what_it_says(tmp_path: Path) -> None:
    """It keeps its files in a folder that outlives it, as a user who may not pass the folders above."""
    tmp_path.chmod(0o700)
    says = "echo 'secret.example Bootstrapped 45% (x): y' >&2; mkdir -m 700 /proc/self/cwd/mine && exec sleep 60"

    async def story() -> None:
        reports: Reports = []
        steps: list[tuple[str, int]] = []
        children = Children(lambda *said: reports.append(said), lambda *said: steps.append(said), tmp_path)
        await children.apply([Child("x", ("sh", "-c", says), uid=ENGINES + 1, keeps=True)])
        await until(lambda: steps and (tmp_path / "engines" / "mine").exists())
        assert (steps, reports) == ([("x", 45)], [])
        assert (tmp_path / "engines" / "mine").stat().st_uid == ENGINES + 1
        await children.stop_all()

    asyncio.run(asyncio.wait_for(story(), 20))
