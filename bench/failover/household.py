"""The near end of client.py: starts it on the phone, tells it what to do, keeps what it says."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from types import TracebackType

from bench.failover.outage import INTERVAL, Download, Request
from tests.lab import Lab, wait_until
from tests.lab.net import ROOT
from tests.lab.topology import SITE

DOWNLOADS = 10


@dataclass(slots=True)
class Household:
    """`with Household(lab, resolver) as household:`; `resolver` empty: it asks nobody for names."""

    lab: Lab
    resolver: str = ""
    requests: list[Request] = field(default_factory=list)
    downloads: list[Download] = field(default_factory=list)
    child: subprocess.Popen[str] = field(init=False)
    thread: threading.Thread = field(init=False)

    def __enter__(self) -> Household:
        site = SITE["blocked.example"]
        config = {"site": site.address4, "host": site.name, "token": self.lab.page_token(site.name),
                  "resolver": self.resolver}
        argv = [sys.executable, "-m", "bench.failover.client", json.dumps(config)]
        self.child = self.lab.phone.popen(argv, "household", subprocess.PIPE, subprocess.PIPE, cwd=ROOT)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        assert self.child.stdin
        self.child.stdin.close()
        self.child.wait(10)

    def ask(self, what: str) -> None:
        self._tell(f"ask {what}")

    def served(self, seconds: float = 15) -> None:
        """Until the last second's requests were all answered."""
        self.forget()

        def calm() -> bool:
            recent = self.requests[-int(1 / INTERVAL):]
            return len(recent) == int(1 / INTERVAL) and all(request.good for request in recent)

        wait_until(calm, seconds, "the household is served", 0.05)

    def hold(self, count: int = DOWNLOADS) -> None:
        self._tell(f"hold {count}")

    def forget(self) -> None:
        self.requests, self.downloads = [], []

    def _tell(self, line: str) -> None:
        assert self.child.stdin
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def _read(self) -> None:
        assert self.child.stdout
        for line in self.child.stdout:
            match line.split():
                case ["good" | "lost" as word, began, ended, stage]:
                    self.requests.append(Request(float(began), float(ended), word == "good", stage))
                case ["broken" | "held" as word, began, last, ended]:
                    self.downloads.append(Download(float(began), float(last), float(ended), word == "broken"))
