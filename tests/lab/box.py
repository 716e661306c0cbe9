"""The product on the lab's router: a configuration, `routerd run`, and its API. Started and ended as an owner would."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.openapi import conforms

from .lab import Lab
from .net import LabError, wait_until

BASE = """
[wan]
interface = "wan0"
[lan]
interface = "br-lan"
address   = "192.168.77.1/24"
address6  = "fd77:77:77::1/64"
[policy]
on_failure = "{on_failure}"
standby = {standby}
[dns]
resolvers = ["https://192.0.2.53/dns-query", "https://192.0.2.54/dns-query"]
[watchdog]
targets = ["https://probe.example/generate_204", "https://probe2.example/generate_204", "https://open.example/"]
canaries = ["https://blocked.example/"]
large = ["https://probe.example/blob/256000", "https://open.example/blob/256000"]
[time]
sources = [{sources}]
"""
SOURCES = ("198.51.100.12", "198.51.100.13", "198.51.100.14")  # open.example, probe.example, probe2.example
NO_CLOCK = ("setpriv", "--bounding-set=-sys_time", "--")  # whatever we do: this machine's clock is not the lab's


@dataclass(slots=True)
class Box:
    """`with Box(lab, ["ss2022", "trojan"]) as box:` runs routerd with these of the lab's servers, in this order.

    `by_name`: the links have the servers' names, not their addresses; `named`: those of these do. `family`: 6 for
    addresses of IPv6. `at`: another host in the link. `via`: what each travels inside.
    """

    lab: Lab
    transports: Sequence[str]
    on_failure: str = "block"
    standby: int = 2
    extra: str = ""
    sources: Sequence[str] = SOURCES
    env: Mapping[str, str] | None = None
    by_name: bool = False
    named: Sequence[str] = ()
    family: int = 4
    at: Mapping[str, str] = field(default_factory=dict)
    via: Mapping[str, str] = field(default_factory=dict)
    folder: Path = field(init=False)
    daemon: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="box-", dir=self.lab.directory))
        self.folder.chmod(0o755)

    @property
    def config(self) -> Path:
        return self.folder / "etc" / "clearway.toml"

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "api.sock"

    def write(self, transports: Sequence[str] | None = None, on_failure: str | None = None) -> None:
        text = BASE.format(on_failure=on_failure or self.on_failure, standby=self.standby,
                           sources=", ".join(f'"https://{source}/"' for source in self.sources)) + self.extra
        for name in self.transports if transports is None else transports:
            server = self.lab.server(name)
            address = self.at.get(name) or (server.address6 if self.family == 6 else server.address4)
            link = server.link_to(server.hostname if self.by_name or name in self.named else address)
            key = "uri" if "://" in link.splitlines()[0] else "config"
            text += f'[[transport]]\nname = "{name}"\n{key} = """{link}"""\n'
            text += f'via = "{self.via[name]}"\n' if name in self.via else ""
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(text)

    def start(self) -> None:
        argv = [*NO_CLOCK, sys.executable, "-m", "routerd", "run", *self.arguments]
        self.daemon = self.lab.router.popen(argv, log="routerd", env=self.env, cwd=Path(__file__).parents[2])

    @property
    def arguments(self) -> list[str]:
        state, run = str(self.folder / "state"), str(self.folder / "run")
        return ["--config", str(self.config), "--state-dir", state, "--runtime-dir", run]

    def __enter__(self) -> "Box":
        self.write()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:  # on a busy machine the kernel takes seconds to; the next box's wireguard-go would find it busy
            links = "ip -o link show type tun"
            wait_until(lambda: "cw-" not in self.lab.router.sh(links), 10, "the kernel has taken its tunnels down", 0.05)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(number)
            self.daemon.wait(15)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, seconds: int = 5) -> dict[str, Any]:
        argv = ["curl", "-sS", "--max-time", str(seconds), "--unix-socket", str(self.socket), "-X", method, f"http://box{path}"]
        argv += ["--write-out", "\n%{http_code}"]
        if body is not None:
            argv += ["--data-binary", json.dumps(body)]
        told, _, status = self.lab.router.run(argv, timeout=seconds + 15).stdout.rpartition("\n")
        answer: dict[str, Any] = json.loads(told)
        conforms(method, path, int(status), answer, body)
        return answer

    def status(self) -> dict[str, Any]:
        return self.ask("GET", "/status")

    def wait(
        self, what: Callable[[dict[str, Any]], bool], seconds: float = 20, name: str = "the state asked for"
    ) -> float:
        """Seconds until the Status is so. LabError, with the Status, when it does not come."""
        start = time.monotonic()
        last: dict[str, Any] = {}

        def so() -> bool:
            nonlocal last
            if not self.socket.exists():
                return False
            try:
                last = self.status()
            except (subprocess.SubprocessError, ValueError, LabError):
                return False
            return what(last)

        try:
            wait_until(so, seconds, name, 0.05)
        except LabError as e:
            raise LabError(f"{e}; Status was {json.dumps(last)}; journal {self.ask('GET', '/log')}") from e
        return time.monotonic() - start

    def wait_open(self, active: str | None = None, seconds: float = 20) -> float:
        return self.wait(lambda s: s["phase"] == "open" and active in (None, s["active"]), seconds, f"open ({active})")

    def wait_warm(self, count: int, seconds: float = 20) -> float:
        """Until so many transports carry probes."""
        return self.wait(lambda s: sum(t["state"] == "up" for t in s["transports"]) >= count, seconds, f"{count} warm")

    def children(self, word: str) -> list[int]:
        """Process ids of the daemon's children whose command has `word` in it."""
        assert self.daemon
        found = []
        for pid in _descendants(self.daemon.pid):
            if word in Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "):
                found.append(pid)
        return found


def _descendants(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, task.read_text().split()):
                found += [child, *_descendants(child)]
    return found
