"""The Flask app: parts in, gate in front, blueprints behind, one plain page for every error."""

import logging
import traceback

from flask import Flask, g, render_template
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from webui.daemon import DaemonError, Unreachable
from webui.gate import BODY_LIMIT, HEADERS, finish, form_token, guard
from webui.lists import lists
from webui.live import live
from webui.pages import pages
from webui.parts import Parts
from webui.signin import signin
from webui.texts import text, text_or

_EXPLAINED = {401: "error_401", 403: "error_403", 404: "error_404", 413: "error_413", 421: "error_421"}
_log = logging.getLogger("webui")


def create_app(parts: Parts) -> Flask:
    app = Flask("webui")
    app.config.update(
        MAX_CONTENT_LENGTH=BODY_LIMIT,
        MAX_FORM_MEMORY_SIZE=BODY_LIMIT,
        MAX_FORM_PARTS=20,
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.extensions["parts"] = parts
    app.before_request(guard)
    app.after_request(finish)
    for blueprint in (signin, pages, lists, live):
        app.register_blueprint(blueprint)
    app.jinja_env.globals.update(t=text, t_or=text_or, form_token=form_token)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_error_handler(HTTPException, _explain)
    app.register_error_handler(Unreachable, _unreachable)
    app.register_error_handler(DaemonError, _unreachable)
    app.register_error_handler(Exception, _fail)
    return app


def _explain(error: HTTPException) -> ResponseReturnValue:
    if error.code is not None and error.code < 400:
        return error.get_response()
    return _page(_EXPLAINED.get(error.code or 500, "error_other"), error.code or 500)


def _unreachable(error: Exception) -> ResponseReturnValue:
    return _page("error_unreachable", 503)


def _fail(error: Exception) -> ResponseReturnValue:
    # Where, never what: a message may quote what the owner typed.
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    _log.error("%s at %s", type(error).__name__, " > ".join(f"{each.name}:{each.lineno}" for each in frames))
    return _page("error_other", 500)


def _page(key: str, code: int) -> ResponseReturnValue:
    """Says who we are only to somebody signed in. The headers here too: after_request may not run for a 500."""
    g.session = getattr(g, "session", None)
    return render_template("message.html", key=key), code, HEADERS
