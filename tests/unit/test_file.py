"""Faults 46 and 47 in bulk: whatever becomes of the file, the box begins closed; whatever becomes of a write, it is whole."""

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from routerd.file import ConfigFile, write
from routerd.model import Plan, State
from routerd.plan import closed, plan
from routerd.table import SettingsError
from routerd.watchdog import tend

GOOD = b"""# ours
[wan]
interface = "eth0"
[lan]
interface = "br-lan"
address   = "192.168.77.1/24"
address6  = "fd77:77:77::1/64"
[policy]
on_failure = "block"
standby = 2
[[transport]]
name = "Aunt"
uri = "ss://YWVzLTI1Ni1nY206cHc@203.0.113.9:8388#Aunt"
[[transport]]
name = "rented"
uri = "trojan://secret@rented.example:443?sni=rented.example#rented"
"""
FLIPS = 10_000


@pytest.fixture
def file() -> Iterator[ConfigFile]:
    """In memory: each good reading leaves a copy, and waits until that is on the disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        (Path(folder) / "state").mkdir()
        found = ConfigFile(Path(folder) / "clearway.toml", Path(folder) / "state")
        found.path.write_bytes(GOOD)
        found.read()
        yield found


@cache
def _closed(file: ConfigFile, _copy: bytes) -> Plan:
    return closed(file.last_good(), "leases")


def _begins(file: ConfigFile) -> Plan:
    """What the daemon applies first. Anything but SettingsError would be a crash."""
    try:
        settings = file.read()
    except SettingsError:
        return _closed(file, (file.state / "last-good.toml").read_bytes())
    return plan(settings, tend(settings, State(), 0.0), "leases")


def _is_closed(first: Plan) -> bool:
    return not first.direct and "goto exit_" not in first.switch and "exit_direct" not in first.switch


def _all_closed(file: ConfigFile, contents: Iterator[bytes]) -> int:
    """How many there were."""
    count = 0
    for content in contents:
        count += 1
        file.path.write_bytes(content)
        assert _is_closed(_begins(file)), content
    return count


def _flipped(seed: int) -> Iterator[bytes]:
    """One to three bits, or one whole byte, anywhere."""
    chance = random.Random(seed)
    for number in range(FLIPS):
        content = bytearray(GOOD)
        for _ in range(chance.randint(1, 3)):
            content[chance.randrange(len(content))] ^= chance.randrange(1, 256) if number % 2 else 1 << chance.randrange(8)
        yield bytes(content)


def test_fault_46_ten_thousand_flipped_bytes_never_open_the_box(file: ConfigFile) -> None:
    assert _all_closed(file, _flipped(46)) == FLIPS


def test_fault_46_a_file_that_is_cut_anywhere_never_opens_the_box(file: ConfigFile) -> None:
    assert _all_closed(file, (GOOD[:end] for end in range(len(GOOD)))) == len(GOOD)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 4096, b"\xff\xfe" + GOOD, b"[wan]\ninterface = 7\n", b"transport = 1\n", b"[[wan]]\n", b"[policy]\non_failure = ['direct']\n"],
)
def test_fault_46_other_corruption_leaves_the_last_good_copy_for_the_lan(file: ConfigFile, content: bytes) -> None:
    file.path.write_bytes(content)
    first = _begins(file)
    assert _is_closed(first)
    assert first.lan[0] == "br-lan"
    assert first.launches == ()


def test_fault_46_a_file_of_100_megabytes_is_not_read_to_its_end(file: ConfigFile) -> None:
    os.truncate(file.path, 100 << 20)
    began = time.monotonic()
    assert _is_closed(_begins(file))
    assert time.monotonic() - began < 1


def test_fault_46_without_any_copy_nothing_at_all_passes(file: ConfigFile) -> None:
    file.path.write_bytes(b"[wan\n")
    (file.state / "last-good.toml").write_bytes(b"\0")
    first = _begins(file)
    assert _is_closed(first)
    assert (first.services, first.launches, first.lan) == ((), (), ("", ()))


# -- 47 ---------------------------------------------------------------------------------------------------------------

OLD, NEW = "a = 1\n" * 2000, "b = 2\n" * 3000
WRITER = """
import itertools, sys
from pathlib import Path
from routerd.file import write
print("ready", flush=True)
for number in itertools.count():
    write(Path(sys.argv[1]), ("a = 1\\n" * 2000, "b = 2\\n" * 3000)[number % 2])
"""
KILLS = 25


def test_fault_47_a_writer_killed_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path, found = tmp_path / "clearway.toml", set()
    write(path, OLD)
    chance = random.Random(47)
    for _ in range(KILLS):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        with child:
            assert child.stdout and child.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0, 0.01))
            child.kill()
        found.add(path.read_text())
        write(path, path.read_text())  # what it left behind is no hindrance
        assert not [name for name in os.listdir(tmp_path) if name != path.name]
    assert found <= {OLD, NEW}


def _too_large() -> None:
    """The kernel takes the first 100 bytes of a file, and then says EFBIG."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def test_fault_47_a_write_that_is_cut_short_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "clearway.toml"
    write(path, OLD)
    done = subprocess.run([sys.executable, "-c", WRITER, str(path)], preexec_fn=_too_large, capture_output=True, check=False)
    assert b"File too large" in done.stderr
    assert path.read_text() == OLD
    assert os.listdir(tmp_path) == [path.name]
