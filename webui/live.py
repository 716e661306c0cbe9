"""The dashboard's live part, rendered here and sent whole, so that there is one place where names become HTML."""

import json
import time
from collections.abc import Callable, Iterator

from flask import Blueprint, Response, abort, g, render_template, request, stream_with_context

from webui.daemon import DaemonError, Unreachable
from webui.hub import Hub, Watcher
from webui.parts import Parts, parts
from webui.sessions import Session
from webui.status import UNREACHABLE, Status, parse

TICK_SECONDS = 5.0
HEARTBEAT_TICKS = 3
SETTLE_SECONDS = 0.3  # many changes at once become one picture

live = Blueprint("live", __name__)


def current_status(own: Parts) -> Status:
    try:
        return parse(own.daemon.status())
    except (Unreachable, DaemonError):
        return UNREACHABLE


def render(status: Status) -> str:
    return render_template("_live.html", status=status)


@live.get("/live")
def fragment() -> str:
    """For browsers whose stream was refused: they ask again and again."""
    return render(current_status(parts()))


@live.get("/events")
def events() -> Response:
    own, session = parts(), g.session
    assert isinstance(session, Session)
    watcher = own.hub.join(session.key)
    if watcher is None:
        abort(503)
    gone: Callable[[], bool] = request.environ.get("waitress.client_disconnected", lambda: False)
    stream = _stream(own.hub, watcher, lambda: own.sessions.is_alive(session), gone)
    response = Response(stream_with_context(stream), mimetype="text/event-stream")
    response.call_on_close(lambda: own.hub.leave(watcher))
    return response


def _stream(hub: Hub, watcher: Watcher, alive: Callable[[], bool], gone: Callable[[], bool]) -> Iterator[str]:
    yield "retry: 3000\n\n"
    shown, quiet = "", 0
    while not watcher.evicted and not gone():
        status = hub.wait(watcher, TICK_SECONDS)
        if not alive():
            yield "event: ended\ndata: {}\n\n"
            return
        picture = render(status) if status else shown
        if picture != shown:
            shown, quiet = picture, 0
            yield f"event: picture\ndata: {json.dumps(picture)}\n\n"
            time.sleep(SETTLE_SECONDS)
        elif (quiet := quiet + 1) >= HEARTBEAT_TICKS:
            quiet = 0
            yield ": still here\n\n"
    yield "event: full\ndata: {}\n\n"
