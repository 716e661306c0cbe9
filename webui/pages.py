"""The owner's pages. A form does one verb of the API and comes back to the dashboard with one sentence."""

from dataclasses import replace
from ipaddress import IPv4Address

from flask import Blueprint, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue

from webui.daemon import Daemon, DaemonError, Imported
from webui.live import current_status
from webui.parts import parts
from webui.status import journal
from webui.texts import text
from webui.verbs import do, session, take_notice

NOBODY = (None, "", str(IPv4Address(0)))  # of a kind that has no server to speak of

pages = Blueprint("pages", __name__)


@pages.get("/")
def dashboard() -> ResponseReturnValue:
    status = current_status(parts())
    code = 503 if status.phase == "unreachable" else 200
    return render_template("dashboard.html", status=status, notice=take_notice()), code


@pages.get("/history")
def history() -> ResponseReturnValue:
    return render_template("history.html", entries=journal(parts().daemon.journal())[:200])


@pages.post("/use")
def use() -> ResponseReturnValue:
    name = request.form.get("name", "")
    return do(lambda daemon: daemon.use(name), "did_use", name)


@pages.post("/auto")
def auto() -> ResponseReturnValue:
    return do(lambda daemon: daemon.auto(), "did_auto")


@pages.post("/try-next")
def try_next() -> ResponseReturnValue:
    return do(lambda daemon: daemon.try_next(), "did_try_next")


@pages.post("/enable")
def enable() -> ResponseReturnValue:
    name = request.form.get("name", "")
    return do(lambda daemon: daemon.enable(name, True), "did_enable", name)


@pages.post("/disable")
def disable() -> ResponseReturnValue:
    name = request.form.get("name", "")
    return do(lambda daemon: daemon.enable(name, False), "did_disable", name)


@pages.get("/remove")
def remove_page() -> ResponseReturnValue:
    status = current_status(parts())
    own = [each for each in status.transports if not each.subscription and not each.builtin]
    transport = next((each for each in own if each.name == request.args.get("name", "")), None)
    if transport is None:
        abort(404)
    last = len(own) == 1 and not status.subscriptions
    return render_template("remove.html", transport=replace(transport, server=_server(transport.name)), last=last)


@pages.post("/remove")
def remove() -> ResponseReturnValue:
    name = request.form.get("name", "")
    return do(lambda daemon: daemon.remove(name), "did_remove", name)


@pages.get("/add")
def add_page() -> ResponseReturnValue:
    return render_template("add.html", pasted="", name="", rejected=(), told=())


@pages.post("/add")
def add() -> ResponseReturnValue:
    """Links, files, lists, and addresses of lists. What was refused stays in the box, with its reason."""
    pasted, name = request.form.get("pasted", "").strip(), request.form.get("name", "").strip()
    found = _imported(parts().daemon, pasted, name)
    told = [text("did_add", name=", ".join(found.added))] if found.added else []
    told += [text("did_subscribe", name=each) for each in found.lists]
    if told and not found.rejected:
        session().notice = ("ok", " ".join(told))
        return redirect("/", 303)
    left = "\n".join(line for line, _ in found.rejected)
    reasons = [reason for _, reason in found.rejected] or [text("nothing_pasted")]
    return render_template("add.html", pasted=left, name=name, rejected=reasons, told=told), 422


def _imported(daemon: Daemon, pasted: str, name: str) -> Imported:
    """Each address of a list becomes a subscription; the daemon fetches it through a way out."""
    if not pasted:
        return Imported()
    try:
        found = daemon.import_text(pasted, name)
    except DaemonError as error:
        return Imported(rejected=((pasted, error.message or text("refused")),))
    lists, rejected = list[str](), list(found.rejected)
    for address in found.lists:
        try:
            lists.append(daemon.subscribe(address))
        except DaemonError as error:
            rejected.append((address, error.message or text("refused")))
    return Imported(found.added, tuple(lists), tuple(rejected))


def _server(name: str) -> str:
    for each in parts().daemon.transports():
        if isinstance(each, dict) and each.get("name") == name and each.get("server") not in NOBODY:
            return str(each["server"])
    return ""
