"""routerd-web: listen, show the setup code once, serve."""

import argparse
import ctypes
import logging
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

from webui import parts
from webui.app import create_app
from webui.server import serve

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h


def main(argv: list[str] | None = None) -> int:
    options = _options(argv)
    _give_memory_back()
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    logging.getLogger("waitress").setLevel(logging.CRITICAL)  # its messages name paths and peers
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        own = parts.make(options.socket, options.state_dir, frozenset(name.lower() for name in options.name))
        secret = own.owner.ensure_setup_secret()
        sockets = [_listen(address) for address in options.listen or ["127.0.0.1:8080"]]
    except (OSError, ValueError) as error:
        print(f"routerd-web: cannot start: {error}", file=sys.stderr)
        return 1
    if secret:
        print(f"routerd-web: setup code: {secret}", file=sys.stderr, flush=True)
    serve(create_app(own), sockets)
    return 0


def _give_memory_back() -> None:
    """After one free of scrypt's 16 MiB, glibc would keep such blocks in each thread's arena: 80 MB after five logins.

    A fixed M_MMAP_THRESHOLD switches that off (mallopt(3)); M_ARENA_MAX keeps the arenas few.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # not glibc
        return
    mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)
    mallopt(_M_ARENA_MAX, 2)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="routerd-web", description="The router's web page.")
    parser.add_argument("--listen", action="append", metavar="ADDR:PORT", help="repeatable; 127.0.0.1:8080")
    parser.add_argument("--socket", default="/run/clearway/api.sock", metavar="PATH", help="the daemon's API")
    parser.add_argument("--state-dir", default=Path("/var/lib/clearway-web"), type=Path, metavar="DIR")
    parser.add_argument("--name", action="append", default=[], metavar="HOST", help="another name for this page")
    return parser.parse_args(argv)


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or not port.isdigit():
        raise ValueError(f"--listen {address}: wanted ADDR:PORT, like 192.168.77.1:80 or [fd77::1]:80")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind((bare, int(port)))
    except OSError as error:
        listener.close()
        raise OSError(f"--listen {address}: {error.strerror or error}") from error
    return listener


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    raise SystemExit(main())
