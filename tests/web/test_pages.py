"""What the owner sees and does: states in words, the verbs of the API, hostile names as text, a daemon that is away."""

import re
from pathlib import Path

import pytest
from conftest import Daemon, post, subscription, transport
from flask import Flask
from flask.testing import FlaskClient

from webui import status as wire
from webui.hub import MOST_EACH_SESSION, MOST_WATCHERS, Hub
from webui.parts import Parts
from webui.texts import catalogue

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
STRANGE_LISTS = {
    "subscriptions": [
        {"nodes": -3, "up": True, "used_bytes": 1e400, "total_bytes": 0, "pending": {"added": 7}},
        {"name": "x", "nodes": "many", "total_bytes": 1 << 90, "pending": {"removed": [1, None]}},
        "x",
    ]
}
WEBUI = Path(wire.__file__).parent


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("open", "You are through"),
        ("switching", "Finding another way"),
        ("blocked", "No way out right now"),
        ("offline", "provider’s line is down"),
        ("closed", "Closed"),
        ("something-new", "Closed"),
    ],
)
def test_the_phase_is_said_in_words(owner: FlaskClient, daemon: Daemon, phase: str, words: str) -> None:
    daemon.strange = phase == "something-new"
    daemon.change(phase=phase)
    assert words in re.search(r"<h1.*?</h1>", owner.get("/").text, re.S)[0]  # type: ignore[index]


def test_a_problem_is_shown_with_its_cure(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.change(problems=[{"code": "clock", "severity": "error", "title": "The clock is wrong", "cure": "Wait."}])
    page = owner.get("/").text
    assert "The clock is wrong" in page
    assert "Wait." in page


def test_the_buttons_say_to_the_daemon_what_the_contract_says(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.status["transports"].append(transport("a/b ü?", "disabled"))
    post(owner, "/use", name="cousin")
    post(owner, "/auto")
    post(owner, "/try-next")
    post(owner, "/enable", name="a/b ü?")
    post(owner, "/disable", name="cousin")
    post(owner, "/remove", "/remove?name=cousin", name="cousin")
    assert daemon.calls == [
        ("POST", "/use", {"name": "cousin"}),
        ("POST", "/auto", {}),
        ("POST", "/try-next", {}),
        ("POST", "/transports/a/b ü?/enable", {}),
        ("POST", "/transports/cousin/disable", {}),
        ("DELETE", "/transports/cousin", None),
    ]


def test_what_was_done_is_said_once(owner: FlaskClient) -> None:
    post(owner, "/use", name="cousin")
    assert "Changing to “cousin”." in owner.get("/").text
    assert "Changing to" not in owner.get("/").text


def test_removing_asks_first_and_says_what_is_lost(owner: FlaskClient, daemon: Daemon) -> None:
    page = owner.get("/remove?name=home").text
    assert "Remove “home”?" in page and "192.0.2.9" in page and "in use right now" in page
    assert daemon.calls == []
    assert owner.get("/remove?name=nobody").status_code == 404


@pytest.mark.parametrize("pasted", ["vless://one\nss://two", "[Interface]\nPrivateKey = x\n\n[Peer]\nEndpoint = 192.0.2.1:51820"])
@pytest.mark.parametrize(("name", "sent"), [("", {}), ("Aunt", {"name": "Aunt"})])
def test_what_is_pasted_is_imported_whole(
    owner: FlaskClient, daemon: Daemon, pasted: str, name: str, sent: dict[str, str]
) -> None:
    assert post(owner, "/add", "/add", pasted=f" {pasted}\r\n", name=name).status_code == 303
    [(method, path, body)] = daemon.calls
    assert (method, path, body) == ("POST", "/import", {"text": body["text"], **sent})
    assert body["text"].split() == pasted.split()
    assert "Added: Aunt." in owner.get("/").text


def test_the_address_of_a_list_becomes_a_subscription(owner: FlaskClient, daemon: Daemon) -> None:
    address = "https://panel.example/sub/token"
    told = {"input": f"clash://install-config?url={address}", "reason": "to fetch", "subscription": address}
    daemon.found = {"transports": [], "rejected": [told], "subscriptions": [address]}
    assert post(owner, "/add", "/add", pasted=address).status_code == 303
    assert daemon.calls[1:] == [("POST", "/subscriptions", {"url": address})]
    page = owner.get("/").text
    assert "Subscribed to panel.example." in page and "token" not in page.replace('name="token"', "")


def test_what_was_refused_stays_in_the_box_with_its_reason_and_the_rest_is_added(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.found = {**daemon.found, "rejected": [{"input": "nonsense </textarea><b>", "reason": f"not a link: {EVIL}"}]}
    answer = post(owner, "/add", "/add", pasted="ss://good\nnonsense </textarea><b>")
    assert answer.status_code == 422
    assert "Added: Aunt." in answer.text and "ss://good" not in answer.text
    assert "not a link: &lt;script&gt;" in answer.text
    assert "nonsense &lt;/textarea&gt;" in answer.text


def test_a_paste_that_the_daemon_refuses_is_not_lost(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.refuse = (422, "too_many", "too many at once")
    answer = post(owner, "/add", "/add", pasted="ss://one")
    assert answer.status_code == 422
    assert "too many at once" in answer.text and "ss://one" in answer.text


def test_the_history_says_of_each_line_what_it_is_about(owner: FlaskClient, daemon: Daemon) -> None:
    lines = (("up", "home"), ("down", "cousin: timed out"), ("switch", "now through home"), ("of-tomorrow", "a thing"))
    daemon.journal = [{"at": "2026-01-01T00:00:00Z", "kind": kind, "text": told} for kind, told in lines]
    page = owner.get("/history").text
    said = re.findall(r"</time> (.*)</li>", page)
    assert {re.sub("</?bdi>", "", each).strip() for each in said} == {
        "Works: home", "Does not work: cousin: timed out", "now through home", "a thing",
    }


def test_pasting_nothing_is_told(owner: FlaskClient, daemon: Daemon) -> None:
    assert "Paste a link" in post(owner, "/add", "/add", pasted="  ").text
    assert daemon.calls == []


def test_a_refusal_of_a_button_is_told_in_the_daemons_words(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.refuse = (409, "busy", f"cannot now {EVIL}")
    post_answer = owner.post("/auto", data={"token": _token(owner)}, headers={"Origin": "http://localhost"})
    daemon.refuse = None
    assert post_answer.status_code == 303
    page = owner.get("/").text
    assert "cannot now &lt;script&gt;" in page
    assert EVIL not in page


def _token(owner: FlaskClient) -> str:
    return re.search(r'name="token" value="([^"]+)"', owner.get("/password").text)[1]  # type: ignore[index]


def test_hostile_words_of_the_daemon_are_text_on_every_page(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.strange = True
    problem = {"code": EVIL, "severity": EVIL, "title": EVIL, "cure": EVIL}
    way = transport(EVIL, "down", kind=EVIL, last_error=EVIL, latency_ms=EVIL)
    daemon.change(active=EVIL, since=EVIL, phase="open", transports=[way, transport("b", EVIL)], problems=[problem])
    daemon.journal = [{"at": EVIL, "kind": EVIL, "text": EVIL}]
    pending = {"added": [EVIL], "removed": [EVIL], "changed": [EVIL]}
    told = {"host": EVIL, "title": EVIL, "expires": EVIL, "updated": EVIL, "last_error": EVIL, "pending": pending}
    daemon.change(subscriptions=[subscription(EVIL, **told)])
    asked = "?name=" + EVIL.replace("&", "%26")
    pages = ("/", "/live", "/history", "/remove" + asked, "/lists", "/lists/remove" + asked, "/lists/paste" + asked)
    for page in pages:
        answer = owner.get(page)
        assert answer.status_code == 200
        assert "&lt;script&gt;alert" in answer.text, page
        assert "<script>alert" not in answer.text and "<img" not in answer.text, page
    picture = _first_picture(owner)
    assert b"<script>" not in picture and b"&lt;script&gt;" in picture


def _first_picture(owner: FlaskClient) -> bytes:
    stream = owner.get("/events").iter_encoded()
    next(stream)
    return next(stream)


@pytest.mark.parametrize("strange", [{}, {"transports": "x", "problems": 3}, {"transports": [1, {"name": None}]}, STRANGE_LISTS])
def test_a_strange_status_still_gives_a_page(owner: FlaskClient, daemon: Daemon, strange: dict[str, object]) -> None:
    daemon.status, daemon.strange = strange, True
    assert owner.get("/").status_code == 200
    assert owner.get("/lists").status_code == 200


def test_no_page_has_inline_script_or_style_or_fetches_from_elsewhere(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.change(mode="manual", problems=[{"code": "x", "severity": "info", "title": "T", "cure": "C"}])
    daemon.change(subscriptions=[subscription("Aunt")])
    lists = ("/lists", "/lists/paste?name=Aunt", "/lists/remove?name=Aunt")
    for page in ("/", "/add", "/history", "/password", "/remove?name=home", *lists, "/login", "/nothing"):
        html = owner.get(page, follow_redirects=True).text
        assert not re.search(r"<script(?! src=\"/static/)|<style|\sstyle=|\son[a-z]+=|javascript:", html), page
        assert not re.search(r"(src|href|action)=\"(https?:)?//", html), page


def test_every_field_has_a_label(owner: FlaskClient, stranger: FlaskClient, daemon: Daemon) -> None:
    daemon.change(subscriptions=[subscription("Aunt")])
    own = ("/add", "/password", "/lists/paste?name=Aunt")
    for client, page in (*((owner, each) for each in own), (stranger, "/login")):
        html = client.get(page).text
        fields = re.findall(r"<(?:input|textarea) id=\"([^\"]+)\"", html)
        assert fields and set(fields) <= set(re.findall(r"<label for=\"([^\"]+)\"", html))


def test_a_daemon_that_is_away_gives_a_clear_page_everywhere(owner: FlaskClient, own: Parts, daemon: Daemon) -> None:
    token = _token(owner)
    Path(daemon.path).unlink()
    for page in ("/", "/history", "/remove?name=home", "/lists", "/lists/paste?name=Aunt", "/lists/remove?name=Aunt"):
        answer = owner.get(page)
        assert answer.status_code in (503, 404), page
    assert "does not answer" in owner.get("/").text
    assert "does not answer" in owner.get("/lists").text
    assert "does not answer" in owner.get("/history").text
    headers = {"Origin": "http://localhost"}
    assert owner.post("/auto", data={"token": token}, headers=headers).status_code == 303
    assert "That was not done" in owner.get("/").text
    answer = owner.post("/add", data={"token": token, "pasted": "ss://x"}, headers=headers)
    assert answer.status_code == 503
    assert b"does not answer" in _first_picture(owner)


def test_the_stream_shows_each_change_once(owner: FlaskClient, daemon: Daemon) -> None:
    stream = owner.get("/events").iter_encoded()
    next(stream)
    assert b"You are through" in next(stream)
    daemon.change(phase="blocked")
    assert b"No way out right now" in next(stream)


def test_streams_are_capped_and_a_session_loses_its_oldest_first(own: Parts) -> None:
    hub = Hub(own.daemon)
    mine = [hub.join(b"phone") for _ in range(MOST_EACH_SESSION + 1)]
    assert [each is not None and each.evicted for each in mine] == [True] + [False] * MOST_EACH_SESSION
    others = [hub.join(bytes([n])) for n in range(MOST_WATCHERS)]
    assert others.count(None) == MOST_EACH_SESSION
    for each in mine + others:
        if each:
            hub.leave(each)
    late = hub.join(b"late")
    assert late and hub.wait(late, 5) is not None
    hub.leave(late)


def test_all_catalogues_have_the_same_keys_and_the_code_uses_no_other() -> None:
    english = set(catalogue())
    for each in (WEBUI / "texts").glob("*.json"):
        assert set(catalogue(each.stem)) == english, each
    sources = [*WEBUI.glob("*.py"), *WEBUI.glob("templates/*.html")]
    used = {key for each in sources for key in re.findall(r"\b(?:t|text)\([\"'](\w+)[\"'][,)]", each.read_text())}
    assert used and used <= english


def test_the_page_imports_nothing_of_the_daemon() -> None:
    for each in WEBUI.glob("**/*.py"):
        assert not re.search(r"^\s*(import|from) routerd", each.read_text(), re.M), each


def test_the_app_is_never_in_debug_mode(app: Flask) -> None:
    assert not app.debug
    assert "DEBUG" not in "".join(each.read_text() for each in WEBUI.glob("*.py"))
