"""What the network does: a diagnosis, and what was found to get past a censor without a server."""

from __future__ import annotations

from routerd.answers.asked import ApiError, Body, known, wanted
from routerd.bending import listed
from routerd.daemon import Daemon
from routerd.diagnose import Busy, diagnose, diagnose_server, site_of
from routerd.host.asking import Unheard


async def diagnosed(daemon: Daemon, _path: dict[str, str], body: Body) -> tuple[int, Body]:
    """Of a host, or with `transport` of that one's own server."""
    if daemon.settings is None:
        raise ApiError(409, "closed", "there are no readable settings; nothing leaves the box")
    try:
        if "transport" in body:
            name = known(daemon, wanted(body, "transport"))
            report = await diagnose_server(daemon, daemon.settings, daemon.settings.transports[name])
            return 200, report.as_json(name)
        site = site_of(wanted(body, "host"))
        report = await diagnose(daemon, daemon.settings, site, direct=body.get("direct") is not False)
        return 200, report.as_json(site.host)
    except ValueError as e:
        raise ApiError(400, "host", f"host: {e}") from e
    except Busy as e:
        raise ApiError(409, "busy", "a diagnosis is under way; try again in half a minute") from e
    except TimeoutError as e:
        raise ApiError(504, "slow", "the stages took too long; try again") from e


async def bent(daemon: Daemon, _path: dict[str, str], _body: Body) -> tuple[int, Body]:
    try:
        return 200, await listed(daemon)
    except Unheard as e:
        raise ApiError(504, "unheard", "the desync worker does not answer; try again") from e
