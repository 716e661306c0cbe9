"""The ways out of the owner's file: listed, added one at a time, removed, used or kept unused, given away as links."""

from __future__ import annotations

from routerd import file
from routerd.answers.asked import ApiError, Body, edit, free, known, taken, wanted
from routerd.daemon import Daemon
from routerd.links import WRITERS, LinkError, Named, configuration, export, parse


async def listed(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    entries = daemon.settings.transports.values() if daemon.settings else ()
    return 200, {
        "transports": [
            {
                "name": e.name,
                "kind": e.transport.kind,
                "enabled": e.enabled,
                "server": e.transport.server,
                "port": e.transport.port,
                "subscription": e.group or None,
            }
            for e in entries
        ]
    }


async def add(daemon: Daemon, _path: dict[str, str], body: Body) -> tuple[int, Body]:
    source = "uri" if "uri" in body else "config"
    text = wanted(body, source).strip()
    try:
        named = parse(text).name if source == "uri" else ""
        kind = parse(text).transport.kind if source == "uri" else configuration(text).kind
    except LinkError as e:
        raise ApiError(422, "link", str(e)) from e
    name = free(taken(daemon), (wanted(body, "name") if body.get("name") else named) or kind)
    edit(daemon, lambda document: file.add_transport(document, name, source, text))
    return 201, {"name": name}


async def link(daemon: Daemon, path: dict[str, str], _body: Body) -> tuple[int, Body]:
    """The share link of a transport, with its secrets."""
    name = known(daemon, path["name"])
    transport = daemon.settings.transports[name].transport if daemon.settings else None
    if transport is None or transport.kind not in WRITERS:
        raise ApiError(409, "no_link", f"{name!r} is of a kind that no share link can hold")
    return 200, {"name": name, "uri": export(Named(name, transport))}


async def remove(daemon: Daemon, path: dict[str, str], _body: Body) -> tuple[int, Body]:
    name = known(daemon, path["name"])
    edit(daemon, lambda document: file.remove_transport(document, name))
    return 200, {"name": name}


async def enable(daemon: Daemon, path: dict[str, str], _body: Body) -> tuple[int, Body]:
    return _toggle(daemon, path["name"], True)


async def disable(daemon: Daemon, path: dict[str, str], _body: Body) -> tuple[int, Body]:
    return _toggle(daemon, path["name"], False)


def _toggle(daemon: Daemon, name: str, enabled: bool) -> tuple[int, Body]:
    known(daemon, name)
    edit(daemon, lambda document: file.enable_transport(document, name, enabled))
    return 200, {"name": name}
