"""Subscriptions: what each of them has, and the owner's word on it. The daemon fetches; the page never does."""

from flask import Blueprint, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue

from webui.live import current_status
from webui.parts import parts
from webui.status import Status
from webui.subscription import Subscription
from webui.texts import text
from webui.verbs import attempt, do, session, take_notice

BACK = "/lists"

lists = Blueprint("lists", __name__)


@lists.get("/lists")
def shown() -> ResponseReturnValue:
    status = current_status(parts())
    code = 503 if status.phase == "unreachable" else 200
    return render_template("lists.html", status=status, notice=take_notice()), code


@lists.post("/lists/update")
def update() -> ResponseReturnValue:
    name = request.form.get("name", "")
    return do(lambda daemon: daemon.update(name), "did_update", name, BACK)


@lists.post("/lists/confirm")
def confirm() -> ResponseReturnValue:
    name = request.form.get("name", "")
    found = _find(current_status(parts()), name)
    if found and found.pending and found.pending.mark != request.form.get("mark", ""):
        session().notice = ("error", text("pending_other"))
        return redirect(BACK, 303)
    return do(lambda daemon: daemon.confirm(name), "did_confirm", name, BACK)


@lists.get("/lists/paste")
def paste_page() -> ResponseReturnValue:
    return render_template("paste.html", one=_asked(current_status(parts())), pasted="", error="")


@lists.post("/lists/paste")
def paste() -> ResponseReturnValue:
    """A list that was refused stays in the box, with the reason."""
    name, pasted = request.form.get("name", ""), request.form.get("pasted", "").strip()
    error = attempt(lambda daemon: daemon.hand_over(name, pasted)) if pasted else text("nothing_handed_over")
    if not error:
        session().notice = ("ok", text("did_hand_over", name=name))
        return redirect(BACK, 303)
    return render_template("paste.html", one=Subscription(name), pasted=pasted, error=error), 422


@lists.get("/lists/remove")
def remove_page() -> ResponseReturnValue:
    status = current_status(parts())
    one = _asked(status)
    in_use = any(each.active and each.subscription == one.name for each in status.transports)
    return render_template("unsubscribe.html", one=one, in_use=in_use)


@lists.post("/lists/remove")
def remove() -> ResponseReturnValue:
    name = request.form.get("name", "")
    return do(lambda daemon: daemon.unsubscribe(name), "did_unsubscribe", name, BACK)


def _asked(status: Status) -> Subscription:
    found = _find(status, request.args.get("name", ""))
    if found is None:
        abort(404)
    return found


def _find(status: Status, name: str) -> Subscription | None:
    return next((each for each in status.subscriptions if each.name == name), None)
