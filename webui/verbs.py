"""How a form does one verb of the API: done or refused, one sentence of it is kept for the page that is shown next."""

from collections.abc import Callable

from flask import g, redirect
from flask.typing import ResponseReturnValue

from webui.daemon import Daemon, DaemonError, Unreachable
from webui.parts import parts
from webui.sessions import Session
from webui.texts import text


def do(verb: Callable[[Daemon], None], done: str, name: str = "", back: str = "/") -> ResponseReturnValue:
    """`done` is the key of a text; `back` a path of ours."""
    told = attempt(verb)
    session().notice = ("error", told) if told else ("ok", text(done, name=name))
    return redirect(back, 303)


def attempt(verb: Callable[[Daemon], None]) -> str:
    """Why it was not done, in one sentence; empty where it was."""
    try:
        verb(parts().daemon)
    except DaemonError as error:
        return error.message or text("refused")
    except Unreachable:
        return text("not_done_unreachable")
    return ""


def take_notice() -> tuple[str, str] | None:
    own = session()
    notice, own.notice = own.notice, None
    return notice


def session() -> Session:
    found = g.session
    assert isinstance(found, Session)
    return found
