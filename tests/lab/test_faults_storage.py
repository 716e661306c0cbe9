"""The fault catalogue, storage: files that are corrupt or cannot be written, under load and under capture.

The bulk of both is in tests/unit/test_file.py: ten thousand flipped bytes, each cut, each moment of a write.
"""

import contextlib
import signal
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from .box import Box
from .capture import Allowed
from .fault import SERVERS, SITE, scene, through
from .lab import Lab
from .net import LabError, wait_until

__all__ = ["SERVERS"]
SHAPES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "zeros": lambda good: b"\0" * len(good),
    "cut": lambda good: good[:len(good) // 2],
    "flipped": lambda good: good.replace(b"[lan]", b"[la~]"),
    "no UTF-8": lambda good: b"\xff\xfe" + good,
    "another type": lambda good: good.replace(b'"wan0"', b"7"),
    "large": lambda good: good + b"#" * (100 << 20),
}


def test_fault_46_a_daemon_that_starts_on_a_corrupt_file_is_closed(lab: Lab, proxy: Box) -> None:
    good = proxy.config.read_bytes()
    with scene(lab, proxy):
        for name, corrupt in SHAPES.items():
            proxy.stop()
            proxy.config.write_bytes(corrupt(good))
            proxy.start()
            proxy.wait(lambda s: s["phase"] == "closed" and any(p["code"] == "settings" for p in s["problems"]), 5, name)
            assert lab.phone.curl(f"https://{SITE}/", "-k", "-m", "0.5").returncode != 0
            assert lab.phone.run(["ping", "-c", "1", "-W", "1", "192.168.77.1"]).returncode == 0, "the LAN goes on"
        proxy.config.write_bytes(good)
        proxy.ask("POST", "/reload")
        proxy.wait_open()
        wait_until(lambda: through(lab), 5, "the household is through")


def test_fault_46_a_running_daemon_keeps_the_settings_it_has(lab: Lab, proxy: Box) -> None:
    good = proxy.config.read_bytes()
    with scene(lab, proxy):
        for corrupt in SHAPES.values():
            proxy.config.write_bytes(corrupt(good))
            assert "error" in proxy.ask("POST", "/reload")
            proxy.wait(lambda s: any(p["code"] == "settings_kept" for p in s["problems"]), 2)
            assert through(lab)
        proxy.config.write_bytes(good)
        assert proxy.ask("POST", "/reload") == {}
        proxy.wait(lambda s: all(p["code"] != "settings_kept" for p in s["problems"]), 2)


AUNT = {"uri": "ss://YWVzLTI1Ni1nY206cHc@203.0.113.99:8388#Aunt"}
AUNTS = Allowed("203.0.113.99", "tcp", 8388)  # nobody has this address
HARMS = {  # what makes the write fail, and what mends it; in the folder of the file, a small tmpfs
    "no space": ("cat /dev/zero > fill 2>/dev/null || true", "rm fill"),
    "no inodes": ("i=0; while touch fill$i; do i=$((i + 1)); done 2>/dev/null || true", "rm fill*"),
    "read-only": ("mount -o remount,ro .", "mount -o remount,rw ."),
    "no rename": ("mount --bind clearway.toml clearway.toml", "umount clearway.toml"),
    "no new file": ("mkdir .clearway.toml.new", "rmdir .clearway.toml.new"),
}


@pytest.fixture
def small(lab: Lab, proxy: Box) -> Iterator[Box]:
    """The file on a tmpfs of the router's own, of eight pages and eight inodes."""
    folder = proxy.config.parent
    lab.router.sh(f"cd {folder}/..; cp etc/clearway.toml kept; mount -t tmpfs -o size=32k,nr_inodes=8 tmpfs etc; mv kept etc/clearway.toml")
    yield proxy
    lab.router.sh(f"umount {folder}")


def test_fault_47_a_write_that_fails_leaves_the_old_file_and_what_runs(lab: Lab, small: Box) -> None:
    folder = small.config.parent
    content = lambda: lab.router.sh(f"cat {folder}/clearway.toml")  # noqa: E731
    before = content()
    with scene(lab, small, also=[AUNTS]):
        for name, (harm, mend) in HARMS.items():
            lab.router.sh(f"cd {folder}; {harm}")
            answer = small.ask("POST", "/transports", AUNT)
            assert "could not be written" in answer.get("error", {}).get("message", ""), (name, answer)
            assert content() == before, name
            assert (small.status()["phase"], len(small.status()["transports"])) == ("open", 2), name
            lab.router.sh(f"cd {folder}; {mend}")
        assert through(lab)


@contextmanager
def _edits(box: Box) -> Iterator[None]:
    """The owner adds and removes a transport without end."""
    ended = threading.Event()

    def edit() -> None:
        while not ended.is_set():
            for method, path, body in (("DELETE", "/transports/Aunt", None), ("POST", "/transports", AUNT)):
                with contextlib.suppress(LabError, ValueError):  # it was killed
                    box.ask(method, path, body)

    thread = threading.Thread(target=edit)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_fault_47_a_daemon_killed_while_it_writes_leaves_the_old_file_or_the_new_one(lab: Lab, proxy: Box) -> None:
    meaning = lambda: tomllib.loads(proxy.config.read_text())  # noqa: E731
    old = meaning()
    new = {**old, "transport": [*old["transport"], {"name": "Aunt", **AUNT}]}
    with scene(lab, proxy, also=[AUNTS]):
        for number in range(5):
            with _edits(proxy):
                time.sleep(0.3 + number * 0.037)
                proxy.stop(signal.SIGKILL)
            assert meaning() in (old, new)
            proxy.start()
            proxy.wait_open()
        assert through(lab)
