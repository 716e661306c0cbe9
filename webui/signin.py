"""First setup, signing in and out, another password: the only place where secrets are typed, the only login path."""

from flask import Blueprint, Response, g, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from webui import passwords
from webui.gate import DEVICE_COOKIE, FORM_COOKIE, SESSION_COOKIE, set_cookie
from webui.parts import Parts, parts
from webui.sessions import ABSOLUTE_SECONDS, Session

DEVICE_SECONDS = 365 * 86400

signin = Blueprint("signin", __name__)


@signin.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    own = parts()
    if not own.owner.has_password:
        return redirect("/setup", 303)
    if request.method == "GET":
        if g.session:
            return redirect("/", 303)
        told = next((key for key in ("ended", "changed") if key in request.args), None)
        return render_template("login.html", told=told, error=None)
    if not _may_guess(own):
        return _refused("login.html", "too_many_guesses", 429)
    if not own.owner.is_password(request.form.get("password", "")):
        return _refused("login.html", "wrong_password", 403)
    return _signed_in(own)


@signin.route("/setup", methods=["GET", "POST"])
def setup() -> ResponseReturnValue:
    own = parts()
    if own.owner.has_password:
        return redirect("/login", 303)
    if not own.setup_is_open():
        return render_template("message.html", key="setup_closed"), 403
    if request.method == "GET":
        return render_template("setup.html", error=None, secret="")
    if not _may_guess(own):
        return _refused("setup.html", "too_many_guesses", 429)
    if not own.owner.is_setup_secret(request.form.get("secret", "")):
        return _refused("setup.html", "wrong_setup_code", 403)
    if problem := _new_password_problem():
        return _refused("setup.html", problem, 422, request.form["secret"])  # right: need not be typed again
    if not own.owner.set_first_password(request.form["password"]):
        return redirect("/login", 303)
    return _signed_in(own)


@signin.post("/logout")
def logout() -> ResponseReturnValue:
    parts().sessions.end(_session())
    return _forget(redirect("/login", 303))


@signin.route("/password", methods=["GET", "POST"])
def password() -> ResponseReturnValue:
    own = parts()
    if request.method == "GET":
        return render_template("password.html", error=None)
    if not _may_guess(own):
        return _refused("password.html", "too_many_guesses", 429)
    if not own.owner.is_password(request.form.get("current", "")):
        return _refused("password.html", "wrong_password", 403)
    if problem := _new_password_problem():
        return _refused("password.html", problem, 422)
    own.owner.change_password(request.form["password"])
    own.sessions.end_all()
    return _forget(redirect("/login?changed=1", 303))


def _may_guess(own: Parts) -> bool:
    known = own.owner.knows_device(request.cookies.get(DEVICE_COOKIE, ""))
    return own.throttle.admit(request.remote_addr or "", known)


def _new_password_problem() -> str | None:
    wanted = request.form.get("password", "")
    return passwords.weakness(wanted) or (None if wanted == request.form.get("again") else "password_differs")


def _refused(template: str, error: str, status: int, secret: str = "") -> Response:
    response = make_response(render_template(template, error=error, told=None, secret=secret), status)
    if status == 429:
        response.headers["Retry-After"] = "60"
    return response


def _signed_in(own: Parts) -> Response:
    """Always a new session, whatever cookie came along (fixation)."""
    if g.session:
        own.sessions.end(g.session)
    response = make_response(redirect("/", 303))
    set_cookie(response, SESSION_COOKIE, own.sessions.start(), ABSOLUTE_SECONDS)
    response.delete_cookie(FORM_COOKIE)
    if not own.owner.knows_device(request.cookies.get(DEVICE_COOKIE, "")):
        set_cookie(response, DEVICE_COOKIE, own.owner.remember_device(), DEVICE_SECONDS)
    return response


def _forget(response: ResponseReturnValue) -> Response:
    answer = make_response(response)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="Strict")
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


def _session() -> Session:
    session = g.session
    assert isinstance(session, Session)
    return session
