"""The real process: it starts, sets up, streams, and keeps answering while somebody is nasty to its sockets."""

import http.client
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest
from conftest import PASSWORD, QUICK_HASH, Daemon

from webui import passwords
from webui.gate import HEADERS

IDLE_USS_LIMIT = 50 * 1024 * 1024


class Page:
    """The process, and one browser's cookies."""

    def __init__(self, daemon: Daemon, state: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        command = [sys.executable, "-m", "webui", "--socket", daemon.path, "--state-dir", str(state)]
        command += ["--listen", f"127.0.0.1:{self.port}", "--listen", f"127.0.0.2:{self.port}"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.cookies: dict[str, str] = {}
        self.state = state

    def wait(self) -> None:
        for _ in range(200):
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the page did not start")

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{self.port}"}
        connection.request(method, path, urlencode(form or {}), headers)
        answer = connection.getresponse()
        for each in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = each.split(";")[0].partition("=")
            self.cookies[name] = value
        told = answer.status, answer.read().decode(), dict(answer.headers)
        connection.close()
        return told

    def post(self, path: str, page: str, **form: str) -> int:
        token = re.search(r'name="token" value="([^"]+)"', self.ask("GET", page)[1])
        assert token
        return self.ask("POST", path, {**form, "token": token[1]})[0]

    def connect(self, sent: bytes) -> socket.socket:
        peer = socket.create_connection(("127.0.0.1", self.port), 5)
        peer.sendall(sent)
        return peer

    def uss(self) -> int:
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return 1024 * sum(int(size) for size in re.findall(r"^Private_\w+:\s+(\d+)", rollup, re.M))

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=10)[1]


@pytest.fixture
def page(daemon: Daemon, tmp_path: Path) -> Iterator[Page]:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "password").write_text(QUICK_HASH)
    running = Page(daemon, state)
    try:
        running.wait()
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def sign_in(page: Page) -> None:
    assert page.post("/login", "/login", password=PASSWORD) == 303


def test_the_first_start_tells_the_code_once_and_setup_works_with_it(daemon: Daemon, tmp_path: Path) -> None:
    first = Page(daemon, tmp_path / "new")
    first.wait()
    code = (tmp_path / "new" / "setup-secret").read_text().strip()
    assert first.post("/setup", "/setup", secret=code, password=PASSWORD, again=PASSWORD) == 303
    assert "You are through" in first.ask("GET", "/")[1]
    told = first.stop()
    assert first.process.returncode == 0
    assert told.count(code) == 1
    assert PASSWORD not in told and "GET" not in told
    second = Page(daemon, tmp_path / "new")
    second.wait()
    assert second.stop() == ""


def test_it_says_clearly_why_it_cannot_start(daemon: Daemon, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "webui", "--state-dir", str(tmp_path / "s"), "--listen", "nowhere"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert told.returncode == 1
    assert (
        told.stderr
        == "routerd-web: cannot start: --listen nowhere: wanted ADDR:PORT, like 192.168.77.1:80 or [fd77::1]:80\n"
    )


def test_an_idle_page_is_small_even_after_logins_and_sleeps(page: Page) -> None:
    (page.state / "password").write_text(passwords.hashed(PASSWORD))  # one that takes its 16 MiB
    for _ in range(5):
        page.cookies = {}
        sign_in(page)
    page.ask("GET", "/")
    before = page.cpu_seconds()
    time.sleep(5)
    assert page.cpu_seconds() - before <= 0.05
    assert page.uss() < IDLE_USS_LIMIT


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n", 413),
        (b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n" + b"a" * 70000, 413),
        (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET / HTTP/1.0\r\n\r\n", 421),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    ],
)
def test_refusals_of_the_server_itself_carry_the_headers_and_no_name(page: Page, sent: bytes, code: int) -> None:
    with page.connect(sent) as peer:
        answer = http.client.HTTPResponse(peer)
        answer.begin()
        assert answer.status == code
        assert all(answer.headers[name] == value for name, value in HEADERS.items())
        assert not any(
            name in str(answer.headers).lower() + answer.read().decode().lower() for name in ("waitress", "clearway")
        )


def answers_within(page: Page, seconds: float) -> None:
    began = time.monotonic()
    assert page.ask("GET", "/login")[0] in (200, 303)
    assert time.monotonic() - began < seconds


def test_a_thousand_half_requests_do_not_keep_a_real_client_out(page: Page) -> None:
    with ExitStack() as stack:
        for number in range(1000):
            stack.enter_context(page.connect(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-" + str(number).encode()))
            if number % 250 == 249:
                answers_within(page, 2)
        files = len(list(Path(f"/proc/{page.process.pid}/fd").iterdir()))
        assert files < 100


def test_a_request_that_drips_is_cut_after_its_deadline(page: Page) -> None:
    with page.connect(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n") as peer:
        peer.settimeout(0.5)
        began = time.monotonic()
        while time.monotonic() - began < 20:
            try:
                peer.sendall(b"a")
                if peer.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - began < 16


def open_stream(page: Page) -> socket.socket:
    return page.connect(
        f"GET /events HTTP/1.1\r\nHost: localhost\r\nCookie: sid={page.cookies['sid']}\r\n\r\n".encode()
    )


def read_until(peer: socket.socket, wanted: bytes, seconds: float = 10) -> bytes:
    heard = b""
    with selectors.DefaultSelector() as selector:
        selector.register(peer, selectors.EVENT_READ)
        while wanted not in heard and selector.select(seconds):
            got = peer.recv(65536)
            if not got:
                break
            heard += got
    assert wanted in heard
    return heard


def test_a_change_reaches_the_browser_at_once_by_the_stream(page: Page, daemon: Daemon) -> None:
    sign_in(page)
    with open_stream(page) as peer:
        read_until(peer, b"You are through")
        began = time.monotonic()
        daemon.change(phase="blocked")
        read_until(peer, b"No way out right now")
        assert time.monotonic() - began < 1.5


def test_many_streams_leave_threads_for_people(page: Page, daemon: Daemon) -> None:
    sign_in(page)
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(open_stream(page))
        answers_within(page, 2)
    for _ in range(100):
        if not daemon.listeners:
            break
        daemon.change(since=str(time.time()))
        time.sleep(0.1)
    assert not daemon.listeners, "the daemon's stream is let go when nobody watches"


def test_a_stream_comes_back_when_the_daemon_does(page: Page, daemon: Daemon) -> None:
    sign_in(page)
    with open_stream(page) as peer:
        read_until(peer, b"You are through")
        aside = daemon.path + ".aside"
        Path(daemon.path).rename(aside)
        for each in list(daemon.listeners):
            each.put(None)
        read_until(peer, b"does not answer")
        Path(aside).rename(daemon.path)
        read_until(peer, b"You are through")
