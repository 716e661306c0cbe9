"""Chromium over the DevTools pipe (NUL-separated JSON on its file descriptors 3 and 4): no driver, no library.

Runs in the network namespace of the process `room`, so it can reach nothing but that namespace's loopback.
"""

import base64
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars --remote-debugging-pipe"
)


class Browser:
    def __init__(self, room: int, profile: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        run = f"exec nsenter -t {room} -n chromium {FLAGS} --user-data-dir={profile} about:blank"
        self._process = subprocess.Popen(
            ["bash", "-c", f"{run} 3<&{theirs_in} 4>&{theirs_out}"],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._rest, self._session = 0, b"", ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._in], [], [], 30)[0], "the browser is silent"
            got = os.read(self._in, 1 << 20)
            assert got, "the browser is gone"
            self._rest += got
        raw, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(raw)
        return answer

    def phone(self, width: int = 390, height: int = 844, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=True)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def script(self, allowed: bool) -> None:
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def wait_for_page(self, url: str, selector: str) -> None:
        """The server may still be starting."""
        for _ in range(100):
            self.open(url)
            if self.run(f"!!document.querySelector({json.dumps(selector)})"):
                return
            time.sleep(0.1)
        raise AssertionError(f"{url} shows no {selector}")

    def run(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.run(expression):
                    return
            except AssertionError:  # the page is just being replaced
                pass
            time.sleep(0.05)
        raise AssertionError(f"never: {expression}; the page says: {self.run('document.body.innerText')}")

    def wait_for_text(self, words: str) -> None:
        self.wait(f"document.body.innerText.includes({json.dumps(words)})")

    def tap(self, selector: str) -> None:
        found = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"document.readyState === 'complete' && !!{found}")  # until its style is there, things move
        self.run(f"{found}.scrollIntoView({{block: 'center'}})")
        place = self.run(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({found}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def type(self, selector: str, words: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=words)

    def picture(self, path: Path, whole: bool = False) -> None:
        raw = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(raw))

    def requested(self) -> list[str]:
        sent = [each["params"] for each in self.events if each.get("method") == "Network.requestWillBeSent"]
        return [str(each["request"]["url"]) for each in sent]

    def complaints(self) -> list[str]:
        """Refusals by the policy and errors of the script; an answer 4xx/5xx is not one."""
        logged = [each["params"]["entry"] for each in self.events if each.get("method") == "Log.entryAdded"]
        thrown = [str(each) for each in self.events if each.get("method") == "Runtime.exceptionThrown"]
        return thrown + [str(each["text"]) for each in logged if each["source"] != "network"]

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)
