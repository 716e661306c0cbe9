"""The real daemon in a namespace of its own, asked over its real socket; and the command line's refusals."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from routerd.host import engines
from routerd.links import export, parse
from routerd.transports.amneziawg import AmneziaWg
from tests.host.namespace import alone, household
from tests.lab.box import NO_CLOCK
from tests.openapi import conforms, document, event_conforms

LINK = "trojan://s3cr3t@192.0.2.1:443?sni=example.org#home"
SETTINGS = """# the owner's words: stay
[policy]
builtin = false

[wan]
interface = "eth0"   # towards the provider

[lan]
interface = "br-lan"
address = "192.168.77.1/24"
"""


def routerd(folder: Path, verb: str, *more: str) -> list[str]:
    where = ["--config", str(folder / "clearway.toml"), "--state-dir", str(folder / "state")]
    return [*NO_CLOCK, sys.executable, "-m", "routerd", verb, *where, "--runtime-dir", str(folder / "run"), *more]


def said(folder: Path, verb: str, *more: str) -> tuple[int, str, str]:
    found = subprocess.run(routerd(folder, verb, *more), capture_output=True, text=True, timeout=20, check=False)
    return found.returncode, found.stdout, found.stderr


@contextlib.contextmanager
def box(text: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "clearway.toml").write_text(text)
        yield Path(name)


@contextlib.contextmanager
def running(text: str = SETTINGS) -> Iterator[Path]:
    household()
    with box(text) as folder:
        daemon = subprocess.Popen(routerd(folder, "run"), stderr=subprocess.PIPE)
        try:
            until(lambda: ask(folder, "GET", "/status")[0] == 200)
            yield folder
            assert daemon.poll() is None
        finally:
            daemon.terminate()
            _, complaints = daemon.communicate(timeout=10)
        assert b"Traceback" not in complaints, complaints.decode()
        assert daemon.returncode == 0


def until(true: Any) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            if true():
                return
        time.sleep(0.05)
    raise AssertionError("it did not come true within ten seconds")


def raw(folder: Path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(10)
        wire.connect(str(folder / "run" / "api.sock"))
        with contextlib.suppress(BrokenPipeError):
            wire.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while data := wire.recv(1 << 16):
                answer += data
        return answer


def ask(folder: Path, method: str, path: str, body: object = None, data: bytes | None = None) -> tuple[int, Any]:
    sent = data if data is not None else json.dumps(body).encode() if body is not None else b""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sent)}\r\n\r\n".encode()
    answer = raw(folder, head + sent)
    if not answer:
        return 0, None
    first, _, rest = answer.partition(b"\r\n\r\n")
    status, told = int(first.split()[1]), json.loads(rest)
    conforms(method, path, status, told, body)
    return status, told


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["code"]


@alone
def test_the_status_is_as_the_contract_says() -> None:
    with running() as folder:
        _, found = ask(folder, "GET", "/status")
        assert set(found) == {"version", "phase", "mode", "active", "since", "transports", "problems", "subscriptions"}
        assert (found["mode"], found["active"], found["transports"]) == ("auto", None, [])
        assert (folder / "run" / "api.sock").stat().st_mode & 0o777 == 0o660


@alone
def test_the_document_is_given_as_it_is_packed() -> None:
    with running() as folder:
        assert ask(folder, "GET", "/openapi.json") == (200, document())


@alone
def test_events_are_as_the_document_says() -> None:
    """Status at once, then the journal's line of what went wrong."""
    with running() as folder, socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(10)
        wire.connect(str(folder / "run" / "api.sock"))
        wire.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        told = heard(wire, b"event: status")
        (folder / "clearway.toml").write_text(SETTINGS + "nonsense = 1\n")
        assert code(ask(folder, "POST", "/reload")) == (422, "settings")
        told += heard(wire, b"event: journal")
    events = [match.groups() for match in re.finditer(r"^event: (.*)\ndata: (.*)$", told.decode(), re.MULTILINE)]
    assert {kind for kind, _ in events} == {"status", "journal"}
    for kind, data in events:
        event_conforms("GET", "/events", kind, json.loads(data))


def heard(wire: socket.socket, what: bytes) -> bytes:
    """Up to the end of an event of this kind."""
    told = b""
    while not re.search(what + rb"\n.*\n\r?\n", told):
        data = wire.recv(1 << 16)
        assert data, told
        told += data
    return told


@alone
def test_changes_keep_the_owners_words_and_what_stands_is_the_file() -> None:
    with running() as folder:
        file = folder / "clearway.toml"
        assert ask(folder, "POST", "/transports", {"uri": LINK}) == (201, {"name": "home"})
        assert ask(folder, "POST", "/transports", {"uri": LINK, "name": "home"}) == (201, {"name": "home 2"})
        assert ask(folder, "POST", "/transports/home%202/disable")[0] == 200
        text = file.read_text()
        assert text.startswith(SETTINGS)
        assert "enabled = false" in text
        assert file.stat().st_mode & 0o777 == 0o600
        listed = ask(folder, "GET", "/transports")[1]["transports"]
        assert [(t["name"], t["enabled"]) for t in listed] == [("home", True), ("home 2", False)]
        assert code(ask(folder, "POST", "/use", {"name": "home 2"})) == (409, "disabled")
        assert ask(folder, "POST", "/transports/home%202/enable")[0] == 200
        assert ask(folder, "DELETE", "/transports/home")[0] == 200
        assert ask(folder, "DELETE", "/transports/home%202")[0] == 200
        assert file.read_text().rstrip() == SETTINGS.rstrip()
        assert ask(folder, "POST", "/transports", {"uri": LINK})[0] == 201
        assert "[[transport]]" in file.read_text()
        assert ask(folder, "DELETE", "/transports/home")[0] == 200
        assert ask(folder, "GET", "/transports")[1] == {"transports": []}


@alone
def test_a_list_without_a_name_has_its_hosts() -> None:
    with running() as folder:
        for token, name in (("one", "panel.example"), ("two", "panel.example 2")):
            assert ask(folder, "POST", "/subscriptions", {"url": f"https://panel.example/{token}"}) == (201, {"name": name})
        assert code(ask(folder, "POST", "/subscriptions", {"url": "https://[::1/x"})) == (422, "settings")


@alone
def test_a_subscription_may_begin_with_the_list_itself_and_leaves_nothing_behind() -> None:
    token = "t0ken"
    body = {"name": "Aunt", "url": f"https://panel.example/{token}", "text": LINK.replace("192.0.2.1", "203.0.113.77")}
    with running() as folder:
        kept = folder / "state" / "subscriptions"
        assert code(ask(folder, "POST", "/subscriptions", {**body, "text": "<html>"})) == (422, "list")
        assert code(ask(folder, "POST", "/subscriptions", {**body, "url": f"http://a.example/{token}"})) == (422, "settings")
        assert (folder / "clearway.toml").read_text() == SETTINGS
        assert ask(folder, "POST", "/subscriptions", body) == (201, {"name": "Aunt"})
        assert code(ask(folder, "POST", "/subscriptions", body)) == (409, "there_already")
        assert code(ask(folder, "POST", "/subscriptions", {**body, "url": f"{body['url']}2"})) == (422, "settings")
        (found,) = ask(folder, "GET", "/subscriptions")[1]["subscriptions"]
        assert (found["host"], found["nodes"], found["latest"]["added"]) == ("panel.example", 1, ["Aunt/home"])
        assert [t["subscription"] for t in ask(folder, "GET", "/transports")[1]["transports"]] == ["Aunt"]
        assert code(ask(folder, "POST", "/subscriptions/Aunt/update")) == (502, "subscription")
        assert code(ask(folder, "POST", "/subscriptions/Aunt/confirm")) == (409, "nothing")
        assert code(ask(folder, "POST", "/subscriptions/Nobody/update")) == (404, "unknown_subscription")
        assert code(ask(folder, "DELETE", "/transports/Aunt%2Fhome")) == (422, "settings")
        assert token not in json.dumps([ask(folder, "GET", path) for path in ("/status", "/log", "/subscriptions")])
        assert [file.stat().st_mode & 0o777 for file in kept.iterdir()] == [0o600]
        assert ask(folder, "DELETE", "/subscriptions/Aunt") == (200, {"name": "Aunt"})
        assert not list(kept.iterdir())
        assert ask(folder, "GET", "/transports")[1]["transports"] == []


@alone
def test_an_import_is_added_in_one_step_under_names_of_its_own_and_comes_back_as_links() -> None:
    text = f"{LINK}\ntrojan://other@192.0.2.2:443#home\nhy2://p@192.0.2.3#%F0%9F%87%B3%F0%9F%87%B1\nnonsense\nhttps://list.example/s\n"
    with running() as folder:
        assert ask(folder, "POST", "/transports", {"uri": LINK, "name": "mine"})[0] == 201
        status, tried = ask(folder, "POST", "/import", {"text": text, "dry_run": True})
        assert (status, len(tried["transports"]), len(ask(folder, "GET", "/transports")[1]["transports"])) == (200, 2, 1)
        status, found = ask(folder, "POST", "/import", {"text": text.replace("#home\nhy2", "#mine\nhy2")})
        assert [one["name"] for one in found["transports"]] == ["mine 2", "🇳🇱"]
        assert found["rejected"][0]["reason"] == "It is there already, as mine."
        assert [one["input"] for one in found["rejected"]] == [LINK, "nonsense", "https://list.example/s"]
        assert found["subscriptions"] == ["https://list.example/s"]
        assert (folder / "clearway.toml").read_text().startswith(SETTINGS)
        listed = ask(folder, "GET", "/transports")[1]["transports"]
        assert [one["name"] for one in listed] == ["mine", "mine 2", "🇳🇱"]
        status, link = ask(folder, "GET", "/transports/mine/link")
        assert (status, parse(link["uri"]).transport) == (200, parse(LINK).transport)
        assert code(ask(folder, "GET", "/transports/none/link")) == (404, "unknown_transport")
        many = "\n".join(f"trojan://p@192.0.2.9:{port}" for port in range(1, 200))
        assert code(ask(folder, "POST", "/import", {"text": many})) == (422, "too_many")
        assert len(ask(folder, "GET", "/transports")[1]["transports"]) == 3
        single = {"text": "trojan://p@192.0.2.9:443#its", "name": "mine"}
        assert [one["name"] for one in ask(folder, "POST", "/import", single)[1]["transports"]] == ["mine 3"]
        several = {"text": f"{LINK}\ntrojan://p@192.0.2.9:444#its", "name": "mine"}  # the first is there already
        assert [one["name"] for one in ask(folder, "POST", "/import", several)[1]["transports"]] == ["its"]


@alone
def test_what_is_imported_and_has_no_engine_here_is_kept_and_says_what_is_missing() -> None:
    file = Path(__file__).parents[1] / "golden" / "engines" / "amneziawg" / "wg.conf"
    lacks = engines.lacking(AmneziaWg.engine)
    with running() as folder:
        (named,) = ask(folder, "POST", "/import", {"text": f"{file.read_text()}", "name": "mine"})[1]["transports"]
        assert (named["kind"], named.get("lacks", "")) == ("amneziawg", lacks)
        assert [one["name"] for one in ask(folder, "GET", "/transports")[1]["transports"]] == ["mine"]
        assert ask(folder, "DELETE", "/transports/mine")[0] == 200
        (folder / "list.txt").write_text(f"{LINK}\n{export(parse(file.read_text()))}\n")
        _, out, _ = told(folder, "import", str(folder / "list.txt"))
        then = f"; it cannot be used yet: {lacks}" if lacks else ""
        assert out.splitlines() == ["added home (trojan)", f"added 192.0.2.15 (amneziawg){then}"]


@alone
def test_routerctl_imports_and_exports() -> None:
    with running() as folder:
        (folder / "list.txt").write_text(f"{LINK}\nssr://x\n")
        code_, out, _ = told(folder, "import", str(folder / "list.txt"))
        assert (code_, out.splitlines()[0]) == (0, "added home (trojan)")
        assert out.splitlines()[1].startswith("rejected: ssr://x: ShadowsocksR")
        code_, out, _ = told(folder, "export", "home")
        assert (code_, parse(out.strip()).transport) == (0, parse(LINK).transport)
        assert told(folder, "export", "none")[0] == 1
        code_, _, error = told(folder, "import", str(folder / "list.txt"))
        assert (code_, error) == (1, "routerctl: nothing in it can be used\n")


@alone
def test_routerctl_adds_a_list_by_hand_shows_it_and_removes_it() -> None:
    with running() as folder:
        (folder / "list.txt").write_text(LINK.replace("192.0.2.1", "203.0.113.77"))
        add = ("subscription", "add", "Aunt", "https://panel.example/t0ken")
        assert told(folder, *add, "--file", str(folder / "list.txt"))[:2] == (0, "added Aunt\n")
        code_, out, _ = told(folder, "subscription", "list")
        assert (code_, out.splitlines()[1].split()[:4]) == (0, ["Aunt", "panel.example", "1", "0"])
        code_, _, error = told(folder, "subscription", "update", "Aunt")
        assert code_ == 1
        assert "never fetched in clear" in error
        assert "t0ken" not in out + error
        assert told(folder, "subscription", "remove", "Aunt")[0] == 0
        assert told(folder, "subscription", "list")[:2] == (0, "\n")


def told(folder: Path, *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
    argv = [sys.executable, "-c", "from routerd.cli import main; main()", "--socket", str(folder / "run" / "api.sock"), *words]
    found = subprocess.run(argv, input=stdin, capture_output=True, timeout=20, check=False)
    return found.returncode, found.stdout.decode(), found.stderr.decode()


@alone
def test_what_is_wrong_is_answered_and_changes_nothing() -> None:
    with running() as folder:
        assert code(ask(folder, "GET", "/nothing")) == (404, "path")
        assert code(ask(folder, "DELETE", "/status")) == (405, "method")
        for method, path in (("POST", "/openapi.json"), ("POST", "/events"), ("GET", "/desync/search")):
            assert code(ask(folder, method, path)) == (405, "method")
        assert code(ask(folder, "POST", "/desync/search", {"host": "a.example"})) == (409, "no_desync")
        assert code(ask(folder, "POST", "/desync/search", {"host": "no host"})) == (400, "host")
        assert code(ask(folder, "POST", "/desync/search", {})) == (400, "body")
        assert ask(folder, "GET", "/desync") == (200, {"known": []})
        assert code(ask(folder, "POST", "/use", data=b"{nonsense")) == (400, "json")
        assert code(ask(folder, "POST", "/use", data=b"[" * 50_000)) == (400, "json")
        assert code(ask(folder, "POST", "/use", data=b"\xff\xfe")) == (400, "json")
        assert code(ask(folder, "POST", "/use", [1])) == (400, "json")
        assert code(ask(folder, "POST", "/use", {"name": 3})) == (400, "body")
        assert code(ask(folder, "POST", "/use", {"name": "nobody"})) == (404, "unknown_transport")
        assert code(ask(folder, "DELETE", "/transports/nobody")) == (404, "unknown_transport")
        assert code(ask(folder, "POST", "/transports", {})) == (400, "body")
        status, answer = ask(folder, "POST", "/transports", {"uri": "trojan://s3cr3t@"})
        assert (status, answer["error"]["code"]) == (422, "link")
        assert "s3cr3t" not in answer["error"]["message"]
        assert code(ask(folder, "POST", "/transports", data=b'{"uri": "' + LINK.encode() + b'\\ud800"}'))[0] == 422
        assert ask(folder, "POST", "/use", data=b"x" * 3_000_000)[0] in (0, 413)
        assert b"200 OK" not in raw(folder, b"nonsense\r\n\r\n")
        assert (folder / "clearway.toml").read_text() == SETTINGS
        assert ask(folder, "GET", "/status")[0] == 200


@alone
def test_a_second_daemon_is_refused_in_one_line() -> None:
    with running() as folder:
        status, _, error = said(folder, "run")
        assert status == 1
        assert error.count("\n") == 1
        assert "another routerd runs" in error
        assert ask(folder, "GET", "/status")[0] == 200


@alone
def test_unreadable_settings_are_closed_and_still_answered() -> None:
    with running("[wan\n") as folder:
        _, found = ask(folder, "GET", "/status")
        assert found["phase"] == "closed"
        until(lambda: [p["code"] for p in ask(folder, "GET", "/status")[1]["problems"]][:1])
        assert "settings" in [p["code"] for p in ask(folder, "GET", "/status")[1]["problems"]]
        assert code(ask(folder, "POST", "/transports", {"uri": LINK})) == (422, "settings")
        (folder / "clearway.toml").write_text(SETTINGS)
        assert ask(folder, "POST", "/reload")[0] == 200
        until(lambda: ask(folder, "GET", "/status")[1]["phase"] != "closed")


@alone
def test_an_error_in_new_settings_leaves_those_before_in_force() -> None:
    with running() as folder:
        (folder / "clearway.toml").write_text(SETTINGS + "nonsense = 1\n")
        assert code(ask(folder, "POST", "/reload")) == (422, "settings")
        until(lambda: "settings_kept" in [p["code"] for p in ask(folder, "GET", "/status")[1]["problems"]])
        assert ask(folder, "GET", "/status")[1]["phase"] != "closed"


# -- the command line ---------------------------------------------------------------------------------------------


@alone
def test_a_check_of_good_settings_says_so() -> None:
    with box(SETTINGS) as folder:
        status, out, error = said(folder, "check")
        assert (status, error) == (0, "")
        assert "0 transports" in out


@alone
def test_a_check_of_bad_settings_is_one_line_with_the_key() -> None:
    for text, key in ((SETTINGS + "x = 1\n", "lan.x:"), ("[wan\n", "clearway.toml:"), ("", "wan.interface:")):
        with box(text) as folder:
            status, out, error = said(folder, "check")
            assert (status, out) == (1, "")
            assert error.startswith(f"routerd: {key}")
            assert error.count("\n") == 1


@alone
def test_a_file_that_is_missing_or_no_text_is_named() -> None:
    with box("") as folder:
        (folder / "clearway.toml").write_bytes(b"\xff")
        assert "is not UTF-8 text" in said(folder, "check")[2]
        os.unlink(folder / "clearway.toml")
        status, _, error = said(folder, "check")
        assert (status, error.count("\n")) == (1, 1)
        assert str(folder / "clearway.toml") in error


@alone
def test_wrong_usage_is_two() -> None:
    with box(SETTINGS) as folder:
        assert said(folder, "nonsense")[0] == 2


@alone
def test_print_shows_the_ruleset_and_loads_nothing() -> None:
    with box(SETTINGS) as folder:
        status, out, _ = said(folder, "print", "--state", "switching")
        assert status == 0
        assert "table inet clearway_guard" in out
        assert subprocess.run(["nft", "list", "tables"], capture_output=True, check=True).stdout == b""
        status, _, error = said(folder, "print", "--state", "nobody")
        assert (status, error.count("\n")) == (1, 1)


@alone
def test_closed_loads_both_tables_even_from_bad_settings() -> None:
    for text, expected in ((SETTINGS, 0), ("[wan\n", 1)):
        with box(text) as folder:
            assert said(folder, "closed")[0] == expected
            tables = subprocess.run(["nft", "list", "tables"], capture_output=True, check=True, text=True).stdout
            assert tables.split() == ["table", "inet", "clearway", "table", "inet", "clearway_guard"] or set(
                tables.splitlines()
            ) == {"table inet clearway", "table inet clearway_guard"}
