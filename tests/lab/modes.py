"""Fault 43's ground: drives the daemon from mode to mode while lifelong flows run, and notes what the kernel has when.

Modes: `tunnel` (into a transport), `direct` (every transport failed, and the owner lets that go direct), `block`.
"""

import http.client
import json
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from routerd.host.nft import Nft

from .box import Box
from .lab import Lab
from .net import LabError, wait_until
from .topology import SITE

Mode = Literal["tunnel", "direct", "block"]
DEAD = "203.0.113.250"  # nobody has this address
DEAD_TRANSPORT = f'[[transport]]\nname = "dead"\nuri = "ss://YWVzLTI1Ni1nY206cHc@{DEAD}:8388#dead"\n'
DIRECT, BLOCK = 'on_failure = "direct"', 'on_failure = "block"'
SINK_PORT = 9
SINK = f"""
import asyncio
async def serve():
    async def swallow(reader, writer):
        while await reader.read(65536): pass
    await (await asyncio.start_server(swallow, "{SITE['blocked.example'].address4}", {SINK_PORT})).serve_forever()
asyncio.run(serve())
"""


@dataclass(frozen=True, slots=True)
class Stay:
    """A mode that the kernel had: unknown before `began` (Unix times), certain from `seen` on."""

    mode: Mode
    began: float
    seen: float


@dataclass(slots=True)
class Modes:
    """To be used inside the router's network namespace."""

    box: Box
    good: str
    stays: list[Stay] = field(default_factory=list)
    last: float = field(default_factory=time.time)  # when the last look began
    nft: Nft = field(default_factory=Nft)

    def look(self) -> Mode:
        # The kernel answers at some time during a look: behind the last one's answer the mode may have changed at once.
        before, self.last = self.last, time.time()
        mode = _mode(self.nft.run("list chain inet clearway choose"))
        if not self.stays or self.stays[-1].mode != mode:
            self.stays.append(Stay(mode, before, time.time()))
        return mode

    def stay(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(0.005)

    def reach(self, mode: Mode, seconds: float = 5) -> None:
        wait_until(lambda: self.look() == mode, seconds, f"the kernel's mode is {mode}", 0.002)

    def post(self, path: str, body: dict[str, str] | None = None) -> None:
        """To the API by its socket itself: curl would take longer than the change."""
        wire = http.client.HTTPConnection("box")
        wire.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        wire.sock.connect(str(self.box.socket))
        wire.request("POST", path, json.dumps(body or {}))
        answer = wire.getresponse()
        if answer.status >= 300:
            raise LabError(f"{path}: {answer.read().decode()}")
        wire.close()

    def on_failure(self, line: str) -> None:
        """The owner edits the file, and says so."""
        text = self.box.config.read_text()
        self.box.config.write_text(re.sub(r"on_failure = .*", line, text))
        self.post("/reload")

    # -- changes of mode, each left by the next ---------------------------------------------------------------------

    def wish_and_back(self, home: Mode, stay: float) -> None:
        """The owner wants the transport that does not work, and thinks better of it."""
        self.post("/use", {"name": "dead"})
        self.reach("block")
        self.stay(stay)
        self.post("/auto")
        self.reach(home)
        self.stay(stay)

    def shut_and_open(self, stay: float) -> None:
        """The owner no longer lets failures go direct, and then does again."""
        self.on_failure(BLOCK)
        self.reach("block")
        self.stay(stay)
        self.on_failure(DIRECT)
        self.reach("direct")
        self.stay(stay)

    def lose_and_mend(self, kill: Callable[[], None], stay: float) -> None:
        """The engine dies: direct until it has rested and carries probes again."""
        kill()
        self.reach("direct", 10)  # on a busy box the kernel takes seconds to take a killed wireguard-go's tunnel down
        self.stay(stay)
        self.reach("tunnel", 20)
        self.stay(stay)

    def round(self, pairs: int, stay: float, kill: Callable[[], None]) -> None:
        """From tunnel to tunnel: by each way from mode to mode that there is."""
        for _ in range(pairs):
            self.wish_and_back("tunnel", stay)
        self.lose_and_mend(kill, stay)
        self.post(f"/transports/{self.good}/disable")
        self.reach("direct")
        for number in range(pairs):
            self.shut_and_open(stay) if number % 2 else self.wish_and_back("direct", stay)
        self.post(f"/transports/{self.good}/enable")
        self.reach("tunnel", 20)
        self.stay(stay)


def _mode(chain: str) -> Mode:
    if "goto exit_direct" in chain:
        return "direct"
    return "block" if "goto refuse" in chain else "tunnel"


@contextmanager
def lifelong(lab: Lab) -> Iterator[Path]:
    """Flows of the phone that nobody closes; the file where they note what happened to them."""
    site, file = SITE["blocked.example"], lab.phone.directory / "lifelong.jsonl"
    config = {"file": str(file), "token": lab.token, "tcp": [(site.address4, SINK_PORT)] * 2,
              "udp": [(address, port) for address in (site.address4, site.address6) for port in (7, 443)]}
    sink = lab.sites.popen([sys.executable, "-c", SINK], log="sink")
    wait_until(lambda: lab.sites.listens("tcp", SINK_PORT), 5, "the sink listens")
    flows = lab.phone.module("lifelong", json.dumps(config))
    try:
        yield file
    finally:
        flows.send_signal(signal.SIGTERM)
        flows.wait(5)
        sink.kill()
        sink.wait(5)


