"""The owner at the page: `webui` on the lab's router, set up, and a browser of his (curl) on the phone."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .box import Box
from .lab import Lab
from .net import wait_until

ORIGIN = "http://192.168.77.1:8080"
PASSWORD = "long enough for this test"


@dataclass(slots=True)
class Browser:
    """curl with cookies and the form's token, from the phone."""

    lab: Lab
    jar: Path
    token: str = field(default="")

    def get(self, path: str) -> str:
        return self._fetch(path)

    def post(self, path: str, **fields: str) -> str:
        data = [part for key, value in {"token": self.token, **fields}.items() for part in ("--data-urlencode", f"{key}={value}")]
        return self._fetch(path, "-H", f"Origin: {ORIGIN}", *data)

    def _fetch(self, path: str, *more: str) -> str:
        jar = ["-b", str(self.jar), "-c", str(self.jar)]
        page = self.lab.phone.run(["curl", "-sS", "-i", "-m", "45", *jar, *more, f"{ORIGIN}{path}"]).stdout
        if found := re.search(r'name="token" value="([^"]+)"', page):
            self.token = found[1]
        return page


@contextmanager
def page_of(lab: Lab, box: Box) -> Iterator[Browser]:
    state = box.folder / "web"
    argv = [sys.executable, "-m", "webui", "--listen", "0.0.0.0:8080", "--listen", "[::]:8080"]
    process = lab.router.popen([*argv, "--socket", str(box.socket), "--state-dir", str(state)], log="web", cwd=Path.cwd())
    try:
        wait_until(lambda: lab.router.listens("tcp", 8080), 10, "the page listens")
        browser = Browser(lab, box.folder / "jar")
        browser.get("/setup")
        done = browser.post("/setup", secret=(state / "setup-secret").read_text().strip(), password=PASSWORD, again=PASSWORD)
        assert done.startswith("HTTP/1.1 303"), done
        yield browser
    finally:
        process.terminate()
        process.wait(10)
