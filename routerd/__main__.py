"""routerd: run, closed, check, print."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from routerd import __version__
from routerd.api import serve
from routerd.daemon import Daemon
from routerd.file import ConfigFile
from routerd.host.nft import Nft, NftError, OwnedTable
from routerd.model import Health, Plan, State, Up
from routerd.plan import closed, plan
from routerd.render.guard import GUARD
from routerd.settings import Settings
from routerd.table import SettingsError
from routerd.watchdog import tend
from routerd.world import World, prepare_leases

LOCK = "\0clearway-routerd"  # an abstract socket: one for each network namespace, and gone with its holder


class Failure(Exception):
    """One line for the owner: what, where, what to do."""


def main() -> None:
    arguments = _parser().parse_args()
    try:
        sys.exit(arguments.run(arguments))
    except (Failure, SettingsError, NftError) as e:
        print(f"routerd: {e}", file=sys.stderr)
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="routerd", description="Clearway's daemon: the household's way through.")
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, run, what in (
        ("run", _run, "the daemon, in the foreground"),
        ("closed", _closed, "load the closed ruleset and rules, exit"),
        ("check", _check, "parse the settings, render, ask the kernel; change nothing"),
        ("print", _print, "print the ruleset that would be loaded; change nothing"),
    ):
        verb = verbs.add_parser(name, help=what)
        verb.set_defaults(run=run)
        verb.add_argument("--config", type=Path, default=Path("/etc/clearway/clearway.toml"))
        verb.add_argument("--state-dir", type=Path, default=Path("/var/lib/clearway"))
        verb.add_argument("--runtime-dir", type=Path, default=Path("/run/clearway"))
        if name == "print":
            verb.add_argument(
                "--state", default="closed", help="closed, switching, or the name of a transport that is up"
            )
    return parser


def _file(arguments: argparse.Namespace) -> ConfigFile:
    return ConfigFile(arguments.config, arguments.state_dir)


def _check(arguments: argparse.Namespace) -> int:
    settings = _file(arguments).read()
    nft = Nft()
    for shown in (
        _plan(settings, "closed"),
        _plan(settings, "switching"),
        *(_plan(settings, n) for n in settings.transports),
    ):
        nft.check(shown.guard)
        nft.check(shown.policy + shown.switch)
    print(f"{arguments.config}: {len(settings.transports)} transports; the kernel takes every ruleset")
    return 0


def _print(arguments: argparse.Namespace) -> int:
    shown = _plan(_file(arguments).read(), arguments.state)
    print(shown.guard + shown.policy + shown.switch, end="")
    return 0


def _plan(settings: Settings, state: str) -> Plan:
    """The plan in a state that is named by what a person would call it."""
    leases = "/run/clearway/leases/dnsmasq.leases"
    begun = tend(settings, State(), 0.0)
    if state == "closed":
        return closed(settings, leases)
    if state == "switching":
        return plan(settings, begun, leases)
    if state not in settings.transports:
        names = ", ".join(settings.transports)
        raise Failure(f"--state {state!r}: give closed, switching, or a transport's name ({names})")
    health: dict[str, Health] = {**begun.health, state: Up(0.0, 1.0)}
    return plan(settings, State(health=health, slots=begun.slots, active=state), leases)


def _closed(arguments: argparse.Namespace) -> int:
    """Early boot: both tables and the rules, before the network comes up. Whatever the settings are, it ends closed."""
    file = _file(arguments)
    try:
        settings: Settings | None = file.read()
        error = ""
    except SettingsError as e:
        settings, error = file.last_good(), str(e)
    shown = closed(settings, str(arguments.runtime_dir / "leases"))
    nft, guard = Nft(), OwnedTable(GUARD)
    nft.run(shown.policy + shown.switch)
    guard.load(nft, shown.guard)
    asyncio.run(_close_routing(shown))
    if error:
        raise Failure(f"{error}; closed all the same")
    return 0


async def _close_routing(shown: Plan) -> None:
    async with World(lambda _event: None) as world:
        await world.close_routing(shown)


def _run(arguments: argparse.Namespace) -> int:
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(LOCK)
    except OSError:
        raise Failure(
            "another routerd runs in this network namespace; stop it first (systemctl stop clearway)"
        ) from None
    for folder in (arguments.state_dir, arguments.runtime_dir):
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as e:
            raise Failure(f"{folder}: cannot be made ({e.strerror}); give another --state-dir or --runtime-dir") from e
    prepare_leases(arguments.runtime_dir)
    return asyncio.run(_daemon(Daemon(_file(arguments), arguments.runtime_dir)))


async def _daemon(daemon: Daemon) -> int:
    loop = asyncio.get_running_loop()
    running = asyncio.current_task()
    assert running
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    loop.add_signal_handler(signal.SIGHUP, lambda: _reread(daemon))
    daemon.beat = _beat()
    server = await serve(daemon, daemon.runtime / "api.sock")
    try:
        await daemon.run()
    except asyncio.CancelledError:
        return 0
    finally:
        server.close()
        _notify("STOPPING=1")
    return 0


def _reread(daemon: Daemon) -> None:
    if error := daemon.read_settings():
        print(f"routerd: {error}", file=sys.stderr, flush=True)


def _beat() -> Callable[[], None]:
    """systemd's readiness once, then its watchdog's food: only the loop feeds it."""
    first = [True]

    def beat() -> None:
        _notify("READY=1\nWATCHDOG=1" if first else "WATCHDOG=1")
        first.clear()

    return beat


def _notify(text: str) -> None:
    if path := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect("\0" + path[1:] if path.startswith("@") else path)
            notify.send(text.encode())


if __name__ == "__main__":
    main()
