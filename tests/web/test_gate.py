"""Who gets through the gate: sessions, Host, Origin and token, and what every answer carries."""

import pytest
from conftest import ORIGIN, Daemon, post, token
from flask import Flask
from flask.testing import FlaskClient

from webui.gate import HEADERS, PUBLIC
from webui.parts import Parts

POSTS = ["/use", "/auto", "/try-next", "/enable", "/disable", "/remove", "/add", "/password", "/logout"]
POSTS += ["/lists/update", "/lists/confirm", "/lists/paste", "/lists/remove"]


def routes(app: Flask) -> list[tuple[str, str]]:
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint not in PUBLIC]
    return [(method, rule.rule) for rule in rules for method in sorted(rule.methods or ())]


def test_no_route_but_login_setup_and_static_answers_a_stranger(
    app: Flask, stranger: FlaskClient, daemon: Daemon
) -> None:
    assert len(routes(app)) > 15
    for method, path in routes(app):
        answer = stranger.open(path, method=method, headers=ORIGIN)
        assert answer.status_code in (303, 401), (method, path)
        assert answer.headers.get("Location", "/login") == "/login"
    assert daemon.calls == []


def test_the_list_of_routes_that_post_is_complete(app: Flask) -> None:
    assert sorted(path for method, path in routes(app) if method == "POST") == sorted(POSTS)


@pytest.mark.parametrize(
    "path",
    ["//", "/./", "/LOGIN/..", "/login/../", "/%2e/", "/static/../use", "/static/%2e%2e/app.py", "/;x", "/a%00b"],
)
def test_a_strangely_written_path_gives_a_stranger_nothing(stranger: FlaskClient, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code in (303, 308, 404)
    assert "Clearway" not in answer.text


def test_a_stranger_cannot_tell_a_page_that_exists_from_one_that_does_not(stranger: FlaskClient) -> None:
    there, absent = stranger.get("/history"), stranger.get("/no-such-page")
    assert (there.status_code, there.text, there.location) == (absent.status_code, absent.text, absent.location)


@pytest.mark.parametrize("page", ["/login", "/setup", "/static/page.css", "/static/page.js", "/static/none", "/x"])
def test_nothing_names_the_product_before_signing_in(stranger: FlaskClient, page: str) -> None:
    answer = stranger.get(page, follow_redirects=True)
    told = (answer.text + str(answer.headers)).lower()
    answer.close()
    assert not any(word in told for word in ("clearway", "werkzeug", "waitress"))


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "https://localhost", "http://localhost.evil.example", "http://localhost:81"],
)
def test_a_post_from_elsewhere_is_refused_even_with_the_right_token(
    owner: FlaskClient, daemon: Daemon, path: str, origin: str | None
) -> None:
    headers = {"Origin": origin} if origin else {}
    answer = owner.post(path, data={"token": token(owner), "name": "home"}, headers=headers)
    assert answer.status_code == 403
    assert daemon.calls == []


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token": "x" * 43}, {"token": "é"}])
def test_a_post_without_the_sessions_token_is_refused(
    owner: FlaskClient, daemon: Daemon, path: str, form: dict[str, str]
) -> None:
    assert owner.post(path, data=form, headers=ORIGIN).status_code == 403
    assert daemon.calls == []


def test_a_post_of_json_or_plain_text_is_refused(owner: FlaskClient, daemon: Daemon) -> None:
    for kind in ("application/json", "text/plain"):
        body = f'{{"token": "{token(owner)}", "name": "home"}}'
        assert owner.post("/use", data=body, content_type=kind, headers=ORIGIN).status_code == 403
    assert daemon.calls == []


def test_another_sessions_token_is_refused(app: Flask, owner: FlaskClient, stranger: FlaskClient) -> None:
    form = {"token": token(stranger, "/login")}
    assert owner.post("/auto", data=form, headers=ORIGIN).status_code == 403


@pytest.mark.parametrize("path", POSTS)
def test_get_changes_nothing_and_no_method_is_overridden(owner: FlaskClient, daemon: Daemon, path: str) -> None:
    owner.get(f"{path}?name=home&token={token(owner)}&_method=POST", headers={"X-HTTP-Method-Override": "POST"})
    assert daemon.calls == []
    assert owner.get("/").status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_do_nothing(owner: FlaskClient, daemon: Daemon, method: str) -> None:
    answer = owner.open("/use", method=method, data={"token": token(owner), "name": "home"}, headers=ORIGIN)
    assert answer.status_code == 405
    assert daemon.calls == []


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "192.168.77.1", "192.168.77.1:80", "[fd77::1]", "[fd77::1]:8080", "router.lan"]
    + ["ROUTER.LAN.", "clearway.lan:80", "box.example"],
)
def test_an_address_or_a_name_of_ours_is_answered(stranger: FlaskClient, host: str) -> None:
    assert stranger.get("/login", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "router.lan.evil.example", "evil.example:80@192.168.77.1", "192.168.77.1, evil.example", "", "a b"]
    + [
        "localhost:80:80",
        "[evil.example]",
        "[::1",
        "::1]",
        "192.168.77.1.evil.example",
        "2130706433",
        "localhost:",
        "ｌocalhost",
    ],
)
@pytest.mark.parametrize("path", ["/", "/login", "/static/page.css", "/nothing"])
def test_any_other_host_is_refused_so_that_rebinding_fails(stranger: FlaskClient, host: str, path: str) -> None:
    raw = host.encode().decode("latin-1")
    answer = stranger.get(path, headers={"Host": raw}, environ_overrides={"HTTP_HOST": raw})
    assert answer.status_code == 421
    assert "Clearway" not in answer.text


def test_forwarding_headers_change_nothing(stranger: FlaskClient) -> None:
    lies = {
        "X-Forwarded-Host": "localhost",
        "X-Forwarded-For": "127.0.0.1",
        "X-Real-IP": "127.0.0.1",
        "Host": "evil.example",
    }
    assert stranger.get("/login", headers=lies).status_code == 421


@pytest.mark.parametrize(
    "path",
    ["/", "/login", "/setup", "/add", "/history", "/password", "/remove?name=home", "/live", "/events"]
    + ["/static/page.css", "/nothing", "/use", "/remove?name=nobody"],
)
def test_every_answer_carries_every_header(owner: FlaskClient, stranger: FlaskClient, path: str) -> None:
    for client in (owner, stranger):
        answer = client.get(path)
        for name, value in HEADERS.items():
            assert answer.headers.getlist(name) == [value], (path, answer.status_code, name)
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
        answer.close()


def test_a_crash_is_a_plain_page_with_the_headers_and_logs_no_words_of_the_owner(
    owner: FlaskClient, own: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(pasted: str, name: str) -> str:
        raise RuntimeError(f"cannot digest {pasted} {name}")

    monkeypatch.setattr(type(own.daemon), "import_text", staticmethod(fail))
    answer = post(owner, "/add", "/add", pasted="vless://very-secret@192.0.2.1")
    assert answer.status_code == 500
    assert all(answer.headers[name] == value for name, value in HEADERS.items())
    assert "RuntimeError" in caplog.text
    assert "very-secret" not in caplog.text + answer.text


def test_a_body_over_the_limit_is_refused(owner: FlaskClient, stranger: FlaskClient, daemon: Daemon) -> None:
    for client in (owner, stranger):
        answer = client.post("/login", data={"token": "x", "pasted": "a" * 70_000}, headers=ORIGIN)
        assert answer.status_code == 413
    assert daemon.calls == []
