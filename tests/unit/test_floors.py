"""The direction of dependencies and the purity of the ground floors, checked. See docs/architecture.md."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS: list[set[str]] = [
    {"model"},
    {
        *("watchdog", "evidence", "alarms", "excuses", "rests", "ladder", "signals", "flows", "plan", "status", "render"),
        *("settings", "transports", "links"),
        *("diagnosis", "problems", "clock", "search", "slots", "subscriptions", "table", "desync"),
        *("lease", "entries", "moat"),
    },
    {"host", "probe", "desync programs"},
    {"daemon", "world", "timing", "file", "memory", "diagnose", "feeds", "bending", "bridgefeed"},
    {"api", "answers", "__main__", "cli", "commands", "wire"},
]
PROGRAMS = {"worker", "seek", "search", "door"}  # of desync/: the rest of it is pure
PURE = FLOORS[0] | FLOORS[1]
IMPURE = {"asyncio", "os", "pathlib", "random", "secrets", "shutil", "socket", "subprocess", "threading", "time", "pyroute2"}
# One-way streets on the ground: a room may use the rooms named here and no other of its floor.
MAY_USE = {
    "transports": {"transports"},
    "links": {"links", "transports", "desync"},
    "desync": {"desync"},
    "entries": {"table", "links", "transports", "desync"},
    "settings": {"entries", "table"},
    "moat": {"links", "settings", "subscriptions", "transports"},
    "table": set(),
    "render": {"render", "settings"},
    "subscriptions": {"links", "settings", "transports"},
    "search": {"settings"},
    "slots": {"settings"},
    "lease": {"settings"},
    "ladder": {"search", "settings"},
    "excuses": {"ladder"},
    "rests": {"ladder"},
    "evidence": {"excuses", "ladder", "rests"},
    "alarms": {"evidence", "excuses"},
    "watchdog": {"alarms", "evidence", "excuses", "ladder", "lease", "rests", "settings", "slots"},
    "plan": {"ladder", "lease", "render", "settings", "slots", "subscriptions", "table", "transports"},
    "status": {"ladder", "lease", "settings", "problems"},
    "diagnosis": {"problems"},
    "problems": set(),
}
FILES = sorted(f for f in (ROOT / "routerd").rglob("*.py") if f.stat().st_size)
TESTED_ALONE = {"xray.py"}  # a program of its own


def room(file: Path) -> str:
    return named(file.relative_to(ROOT / "routerd").with_suffix("").parts)


def named(parts: Sequence[str]) -> str:
    return "desync programs" if parts[0] == "desync" and PROGRAMS.intersection(parts[1:2]) else parts[0]


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "routerd":
            yield from (f"routerd.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def floor(name: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if name in rooms)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_point_down_only(file: Path) -> None:
    here = room(file)
    if here == "__init__":
        return
    for name in imports(file):
        top, *rest = name.split(".")
        if top == "routerd" and rest and rest[0] != "__version__":
            there = named(rest)
            assert floor(there) <= floor(here), f"{file.name} imports {name}"
            if floor(there) == floor(here) == 1:
                assert there in MAY_USE[here], f"{file.name} imports {name}"
        elif here in PURE:
            assert top not in IMPURE, f"{file.name} is pure but imports {name}"


def test_the_page_knows_the_daemon_by_its_socket_alone() -> None:
    for file in (ROOT / "webui").rglob("*.py"):
        assert not any(name.split(".")[0] == "routerd" for name in imports(file)), file


def test_no_shell_is_ever_started() -> None:
    for file in (*FILES, *(ROOT / "webui").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                assert not any(k.arg == "shell" for k in node.keywords), file
                assert ast.unparse(node.func) not in ("os.system", "os.popen", "asyncio.create_subprocess_shell"), file
