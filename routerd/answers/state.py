"""Where we stand, and the owner's word on it."""

from __future__ import annotations

import dataclasses

from routerd.answers.asked import ApiError, Body, known, wanted
from routerd.daemon import Daemon
from routerd.model import Wished


async def status(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    return 200, dataclasses.asdict(daemon.status())


async def log(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    return 200, {"journal": [dataclasses.asdict(line) for line in daemon.journal]}


async def use(daemon: Daemon, _path: dict[str, str], body: Body) -> tuple[int, Body]:
    name = known(daemon, wanted(body, "name"))
    if not daemon.settings or not daemon.settings.transports[name].enabled:
        raise ApiError(409, "disabled", f"{name!r} is disabled; enable it first")
    daemon.put(Wished(name))
    return 200, {"name": name}


async def auto(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    daemon.put(Wished(None))
    return 200, {}


async def try_next(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    """The next one in the list after the active, healthy ones first."""
    names = [e.name for e in daemon.settings.enabled] if daemon.settings else []
    ups = [t.name for t in daemon.status().transports if t.state == "up"]
    here = names.index(daemon.state.active) if daemon.state.active in names else -1
    following = names[here + 1 :] + names[: max(here, 0)]
    for name in [n for n in following if n in ups] + following:
        daemon.put(Wished(name))
        return 200, {"name": name}
    raise ApiError(409, "no_other", "there is no other transport; add one")


async def reload(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    if error := daemon.read_settings():
        raise ApiError(422, "settings", error)
    return 200, {}
