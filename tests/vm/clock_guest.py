"""What runs in the virtual machine for test_clock.py: a box and a phone, and a clock that is set to anything.

`clock_guest FOLDER`: its job.json has `ca` (PEM) and `cases`: [{name, settings, offset, step}]. Appends a line of JSON to
its found.jsonl for each, with seconds since the daemon's start. What is right is what the machine booted with;
CLOCK_BOOTTIME counts on.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HOME = Path("/tmp/clock")
BOOTED = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
LONGEST = 240.0  # seconds for a case; what is too long is for test_clock.py to say
NETWORK = """
ip link set lo up; ip link set {wan} name wan0 2>/dev/null || true; ip link set wan0 up
ip addr replace 10.0.2.15/24 dev wan0; ip route replace default via 10.0.2.2
ip netns add phone; ip link add br-lan type veth peer name eth0 netns phone; ip link set br-lan up
ip -n phone link set lo up; ip -n phone link set eth0 up; ip -n phone addr add 192.168.77.11/24 dev eth0
ip -n phone route add default via 192.168.77.1
"""


def off() -> float:
    return time.time() - (BOOTED + time.clock_gettime(time.CLOCK_BOOTTIME))


def set_off(seconds: float) -> None:
    time.clock_settime(time.CLOCK_REALTIME, time.time() - off() + seconds)


@dataclass(slots=True)
class Watch:
    """Seconds since `began` at which something was first seen."""

    began: float
    seen: dict[str, float]

    def note(self, what: str, now: bool) -> None:
        if now and what not in self.seen:
            self.seen[what] = round(time.monotonic() - self.began, 1)


def status() -> dict[str, Any]:
    argv = ["curl", "-sS", "--max-time", "5", "--unix-socket", str(HOME / "run/api.sock"), "http://box/status"]
    with contextlib.suppress(ValueError):
        found: dict[str, Any] = json.loads(subprocess.run(argv, capture_output=True, text=True, check=False).stdout)
        return found
    return {"phase": "", "problems": [], "transports": []}


def through() -> bool:
    """The phone fetches a page; what it takes for the time does not matter to curl -k."""
    argv = ["ip", "netns", "exec", "phone", "curl", "-sSk", "--max-time", "10", "https://198.51.100.10/"]
    return "page-of-blocked.example" in subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def follow(watch: Watch, done: Callable[[], bool]) -> dict[str, Any]:
    last: dict[str, Any] = {}
    while not done() and time.monotonic() - watch.began < LONGEST:
        last = status()
        watch.note("right", abs(off()) < 10)
        watch.note("blocked", last["phase"] == "blocked")
        watch.note("open", last["phase"] == "open")
        if last["phase"] == "open" and "right" in watch.seen:
            watch.note("through", through())
        time.sleep(0.2)
    return last


def start() -> subprocess.Popen[bytes]:
    where = ["--config", HOME / "clearway.toml", "--state-dir", HOME / "state", "--runtime-dir", HOME / "run"]
    env = {**os.environ, "SSL_CERT_FILE": str(HOME / "ca.pem"), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    with (HOME / "log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "routerd", "run", *map(str, where)], cwd=ROOT, env=env, stderr=log)


def case(name: str, settings: str, offset: float, step: float = 0.0) -> dict[str, Any]:
    """Starts at `offset`; once through, the clock is set `step` seconds off while everything runs."""
    shutil.rmtree(HOME / "state", ignore_errors=True)
    (HOME / "clearway.toml").write_text(settings)
    set_off(offset)
    watch = Watch(time.monotonic(), {})
    daemon = start()
    last = follow(watch, lambda: "through" in watch.seen)
    stepped = Watch(time.monotonic(), {})
    if step and "through" in watch.seen:
        set_off(step)
        last = follow(stepped, lambda: "through" in stepped.seen)
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(20)
    set_off(0)
    errors = {t["name"]: t["last_error"] for t in last.get("transports", ()) if t["last_error"]}
    return {"name": name, "offset": offset, **watch.seen, "off": round(off(), 1), "errors": errors,
            "step": stepped.seen, "status": {} if "through" in watch.seen else last}


def main(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    HOME.mkdir(parents=True)
    HOME.chmod(0o755)
    (HOME / "ca.pem").write_text(job["ca"])
    (HOME / "ca.pem").chmod(0o644)
    wan = next(path.name for path in Path("/sys/class/net").iterdir() if (path / "device").exists())
    subprocess.run(["sh", "-ec", NETWORK.format(wan=wan)], check=True)
    case("warm-up", job["cases"][0]["settings"], 0.0)  # the first reading of each file
    for one in job["cases"]:
        with (folder / "found.jsonl").open("a") as found:
            found.write(json.dumps(case(**one)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
