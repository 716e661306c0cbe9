"""What can be asked of the daemon: a function for each line of ROUTES. api.py is the wire, docs/api.md the words."""

from __future__ import annotations

from routerd.answers import importing, network, state, subscriptions, transports
from routerd.answers.asked import Handler

ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/status", state.status),
    ("GET", "/log", state.log),
    ("GET", "/transports", transports.listed),
    ("POST", "/transports", transports.add),
    ("POST", "/import", importing.import_all),
    ("GET", "/transports/{name}/link", transports.link),
    ("DELETE", "/transports/{name}", transports.remove),
    ("POST", "/transports/{name}/enable", transports.enable),
    ("POST", "/transports/{name}/disable", transports.disable),
    ("GET", "/subscriptions", subscriptions.listed),
    ("POST", "/subscriptions", subscriptions.add),
    ("DELETE", "/subscriptions/{name}", subscriptions.remove),
    ("POST", "/subscriptions/{name}/update", subscriptions.update),
    ("POST", "/subscriptions/{name}/confirm", subscriptions.confirm),
    ("POST", "/use", state.use),
    ("POST", "/auto", state.auto),
    ("POST", "/try-next", state.try_next),
    ("POST", "/reload", state.reload),
    ("POST", "/diagnose", network.diagnosed),
    ("GET", "/desync", network.bent),
)
