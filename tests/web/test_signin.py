"""Setup, passwords, guessing, sessions."""

import re
import stat
from pathlib import Path

import pytest
from conftest import ORIGIN, PASSWORD, Clock, Daemon, login, post, token
from flask import Flask
from flask.testing import FlaskClient

from webui import passwords
from webui.app import create_app
from webui.parts import Parts
from webui.sessions import MOST

SECRET_NAME = "setup-secret"


def set_up(client: FlaskClient, secret: str, password: str = PASSWORD, again: str = PASSWORD) -> int:
    return post(client, "/setup", "/setup", secret=secret, password=password, again=again).status_code


def test_the_setup_code_is_readable_has_80_bits_and_is_made_once(own: Parts) -> None:
    secret = own.owner.ensure_setup_secret()
    assert secret and re.fullmatch(r"([a-hj-km-np-z2-9]{5}-){3}[a-hj-km-np-z2-9]{5}", secret)
    assert own.owner.ensure_setup_secret() is None
    assert own.owner.is_setup_secret(secret.upper().replace("-", " "))


def test_setup_needs_the_code_works_once_and_signs_in(own: Parts, tmp_path: Path) -> None:
    secret = own.owner.ensure_setup_secret() or ""
    client = create_app(own).test_client()
    assert client.get("/", follow_redirects=True).request.path == "/setup"
    assert set_up(client, "") == 403
    assert set_up(client, "aaaaa-aaaaa-aaaaa-aaaaa") == 403
    assert set_up(client, secret, again="something else") == 422
    assert not own.owner.has_password
    assert set_up(client, secret) == 303
    assert client.get("/").status_code == 200
    assert not (tmp_path / "state" / SECRET_NAME).exists()
    again = client.post("/setup", data={"secret": secret, "token": token(client)}, headers=ORIGIN)
    assert again.location == "/login"
    assert own.owner.ensure_setup_secret() is None


def test_setup_closes_by_itself_after_half_an_hour(own: Parts, clock: Clock) -> None:
    secret = own.owner.ensure_setup_secret() or ""
    client = create_app(own).test_client()
    form = {"secret": secret, "password": PASSWORD, "again": PASSWORD, "token": token(client, "/setup")}
    clock.now += 1800
    assert client.get("/setup").status_code == 403
    assert client.post("/setup", data=form, headers=ORIGIN).status_code == 403
    assert not own.owner.has_password


def test_files_are_for_the_page_alone(app: Flask, own: Parts, owner: FlaskClient, tmp_path: Path) -> None:
    found = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "state").iterdir()}
    assert found == {"password": 0o600, "devices": 0o600}
    assert PASSWORD not in (tmp_path / "state" / "password").read_text()


@pytest.mark.parametrize(
    "weak",
    ["short", "12345678901", "password1234", "passwordpassword", "P@ssw0rd2024!!", "aaaaaaaaaaaaaa", "abcabcabcabc"]
    + ["123456789012", "qwertyuiopas", "q1w2e3r4t5y6", "1QAZ2WSX3EDC", "x" * 129, "ｐａｓｓｗｏｒｄ１２３４"],
)
def test_an_easy_password_is_refused(weak: str) -> None:
    assert passwords.weakness(weak)


@pytest.mark.parametrize(
    "good", [PASSWORD, "چهار اسب آرام", "correcthorsebattery", "мой дядя самых", "9f8a7c6e5d4b", "a long one, " * 8]
)
def test_a_decent_password_is_taken(good: str) -> None:
    assert passwords.weakness(good) is None


def test_one_password_typed_on_two_keyboards_is_one_password() -> None:
    assert passwords.matches("cafe\u0301 et croissants", passwords.hashed("caf\u00e9 et croissants"))


@pytest.mark.parametrize("broken", ["", "scrypt", "$$", "scrypt:0:0:0$$", "plain$x$y", "scrypt:16384:8:5$AA==$", "\0"])
def test_a_damaged_hash_lets_nobody_in(broken: str) -> None:
    assert not passwords.matches("", broken)
    assert not passwords.matches(PASSWORD, broken)


def test_a_wrong_password_gives_no_session(stranger: FlaskClient) -> None:
    assert login(stranger, "four quiet horses sang").status_code == 403
    assert stranger.get("/").status_code == 303


def test_guesses_are_limited_for_one_peer_and_for_all_together(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    monkeypatch.setattr(passwords, "matches", lambda typed, kept: hashed.append(typed))
    client = app.test_client()
    one = [login(client, "guess", "192.168.77.66").status_code for _ in range(30)]
    assert one.count(403) == 5
    assert one[-1] == 429
    many = [login(client, "guess", f"192.168.77.{n}").status_code for n in range(200)]
    assert many[-1] == 429
    assert len(hashed) <= 20


def test_the_owners_phone_gets_in_while_somebody_hammers_the_page(app: Flask, owner: FlaskClient) -> None:
    post(owner, "/logout")
    client = app.test_client()
    for number in range(40):
        login(client, "guess guess guess", f"192.168.77.{number}")
    assert login(client, PASSWORD, "192.168.77.250").status_code == 429
    assert login(owner).status_code == 303


def test_guessing_is_possible_again_after_a_minute(app: Flask, stranger: FlaskClient, clock: Clock) -> None:
    for number in range(20):
        login(stranger, "guess guess guess", f"192.168.77.{number}")
    clock.now += 60
    assert login(stranger).status_code == 303


def test_the_cookie_is_strict_hidden_and_new_at_each_login(stranger: FlaskClient) -> None:
    stranger.set_cookie("sid", "chosen-by-somebody-else")
    first = login(stranger).headers.getlist("Set-Cookie")[0]
    assert first.startswith("sid=") and "HttpOnly" in first and "SameSite=Strict" in first and "Path=/" in first
    assert len(first.split(";")[0]) >= 4 + 43
    assert "chosen" not in first


def test_the_id_chosen_by_somebody_else_is_no_session(app: Flask, stranger: FlaskClient) -> None:
    stranger.set_cookie("sid", "chosen")
    login(stranger)
    thief = app.test_client()
    thief.set_cookie("sid", "chosen")
    assert thief.get("/").status_code == 303


def copy_session(app: Flask, client: FlaskClient) -> FlaskClient:
    cookie = client.get_cookie("sid")
    assert cookie
    other = app.test_client()
    other.set_cookie("sid", cookie.value)
    return other


def test_signing_out_kills_the_session_on_this_side(app: Flask, owner: FlaskClient) -> None:
    stolen = copy_session(app, owner)
    assert stolen.get("/").status_code == 200
    assert post(owner, "/logout").location == "/login"
    assert stolen.get("/").status_code == 303


def test_an_idle_session_ends_after_half_an_hour(owner: FlaskClient, clock: Clock) -> None:
    clock.now += 1799
    assert owner.get("/").status_code == 200
    clock.now += 1800
    assert owner.get("/").location == "/login?ended=1"


def test_a_busy_session_ends_after_twelve_hours(owner: FlaskClient, clock: Clock) -> None:
    for _ in range(35):
        clock.now += 1200
        assert owner.get("/").status_code == 200
    clock.now += 1200
    assert owner.get("/").status_code == 303


@pytest.mark.parametrize("path", ["/live", "/?auto=1"])
def test_watching_does_not_keep_a_session_alive(owner: FlaskClient, clock: Clock, path: str) -> None:
    clock.now += 1700
    assert owner.get(path).status_code == 200
    clock.now += 200
    assert owner.get(path).status_code in (303, 401)


def test_the_stream_ends_with_its_session(
    app: Flask, owner: FlaskClient, own: Parts, clock: Clock, daemon: Daemon
) -> None:
    stream = owner.get("/events").iter_encoded()
    assert next(stream).startswith(b"retry")
    assert b"event: picture" in next(stream)
    own.sessions.end_all()
    daemon.change(phase="blocked")
    assert b"event: ended" in next(stream)


def test_another_password_ends_all_sessions_and_needs_the_old_one(app: Flask, owner: FlaskClient) -> None:
    other = copy_session(app, owner)
    fresh = "five calm cows whisper"
    wrong = post(owner, "/password", current="not this one", password=fresh, again=fresh)
    assert wrong.status_code == 403
    weak = post(owner, "/password", current=PASSWORD, password="password1234", again="password1234")
    assert weak.status_code == 422
    assert post(owner, "/password", current=PASSWORD, password=fresh, again=fresh).status_code == 303
    assert other.get("/").status_code == owner.get("/").status_code == 303
    assert login(owner).status_code == 403
    assert login(owner, fresh).status_code == 303


def test_a_thousand_sessions_do_not_pile_up(own: Parts) -> None:
    tokens = [own.sessions.start() for _ in range(1000)]
    alive = [each for each in tokens if own.sessions.find(each, touch=False)]
    assert len(alive) == MOST
    assert alive[-1] == tokens[-1]
