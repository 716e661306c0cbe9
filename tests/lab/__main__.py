"""The lab by hand.

python -m tests.lab up [SERVER...]           bring it up and keep it until Ctrl-C; prints hosts and links
from another terminal:
python -m tests.lab shell HOST | run HOST COMMAND... | plain on|off | links | status
python -m tests.lab censor on|off NAME [ARGUMENT...] | censor clear | capture start [SERVER...] | capture stop
"""

import inspect
import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from . import censor
from .antitest import plain_router
from .capture import Capture
from .censor import Censor
from .lab import Lab
from .net import LabError
from .recipes import RECIPES

SOCKET = Path(os.environ.get("CLEARWAY_LAB", "/tmp/clearway-lab.sock"))
CENSORS: dict[str, Callable[..., Censor]] = {
    name: one for name, one in vars(censor).items()
    if inspect.isfunction(one) and not name.startswith("_") and one.__module__ == censor.__name__}


def make_censor(name: str, words: Sequence[str]) -> Censor:
    """By the function's own signature: integers where it wants them, and the rest of the words for a list."""
    if name not in CENSORS:
        raise LabError(f"no censor {name!r}; there are {', '.join(sorted(CENSORS))}")
    arguments: list[object] = []
    rest = list(words)
    for parameter in inspect.signature(CENSORS[name]).parameters.values():
        if not rest:
            break
        if "Sequence" in str(parameter.annotation):
            numbers = "int" in str(parameter.annotation)
            arguments.append([int(word) for word in rest] if numbers else tuple(rest))
            rest = []
        else:
            arguments.append(int(rest.pop(0)) if parameter.annotation is int else rest.pop(0))
    return CENSORS[name](*arguments)


@dataclass(slots=True)
class Session:
    """What `up` does for the other terminal."""

    lab: Lab
    plain: ExitStack = field(default_factory=ExitStack)
    capture: Capture | None = None

    def answer(self, words: list[str]) -> str:
        match words:
            case ["status"]:
                return json.dumps({"hosts": {name: host.pid for name, host in self.lab.net.hosts.items()},
                                   "directory": str(self.lab.directory), "ca": str(self.lab.ca_file),
                                   "censors": [one.name for one in self.lab.censor.active]})
            case ["links"]:
                return "\n".join(server.link for server in self.lab.made.values())
            case ["plain", "on"]:
                self.plain.enter_context(plain_router(self.lab))
            case ["plain", "off"]:
                self.plain.close()
            case ["censor", "on", name, *rest]:
                self.lab.censor.on(make_censor(name, rest))
            case ["censor", "off", name, *rest]:
                self.lab.censor.off(make_censor(name, rest))
            case ["censor", "clear"]:
                self.lab.censor.clear()
            case ["capture", "start", *names]:
                self.capture = self.lab.capture(allowed=[self.lab.server(name) for name in names])
            case ["capture", "stop"] if self.capture:
                ended, self.capture = self.capture, None
                return str(ended.stop())
            case _:
                raise LabError(f"what is {shlex.join(words)!r}?\n{__doc__}")
        return "ok"

    def serve(self) -> None:
        """One request per connection: a JSON list of words, answered with text, until Ctrl-C."""
        with socket.socket(socket.AF_UNIX) as listener:
            SOCKET.unlink(missing_ok=True)
            listener.bind(str(SOCKET))
            listener.listen()
            while True:
                peer, _ = listener.accept()
                with peer, peer.makefile("rw") as stream:
                    try:
                        stream.write(self.answer(json.loads(stream.readline())))
                    except (LabError, KeyError, TypeError, ValueError) as error:
                        stream.write(f"refused: {error}")


def up(servers: Sequence[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with Lab.up(servers or list(RECIPES)) as lab:
        print("hosts:  ", *lab.net.hosts, f"\nfiles:   {lab.directory}\nCA:      {lab.ca_file}\n", sep=" ")
        for server in lab.made.values():
            print(f"# {server.name} at {server.address4}, {server.address6}\n{server.link}\n")
        print(__doc__, flush=True)
        try:
            Session(lab).serve()
        except KeyboardInterrupt:
            print("going down")
        finally:
            SOCKET.unlink(missing_ok=True)


def ask(words: list[str]) -> str:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(SOCKET))
        with sock.makefile("rw") as stream:
            stream.write(json.dumps(words) + "\n")
            stream.flush()
            return stream.read()


def enter(host: str, argv: list[str]) -> None:
    """Become this program on that host."""
    status = json.loads(ask(["status"]))
    if host not in status["hosts"]:
        raise SystemExit(f"no host {host}; there are {', '.join(status['hosts'])}")
    line = ["nsenter", "-t", str(status["hosts"][host]), "-n", "-m", *argv]
    os.execvpe(line[0], line, {**os.environ,
                               "SSL_CERT_FILE": status["ca"], "CURL_CA_BUNDLE": status["ca"],
                               "PS1": f"{host}# "})


def main() -> None:
    match sys.argv[1:]:
        case ["up", *servers]:
            up(servers)
        case ["shell", host]:
            enter(host, ["bash", "--norc"])
        case ["run", host, *argv] if argv:
            enter(host, argv)
        case [_, *_] as words:
            answer = ask(words)
            print(answer)
            raise SystemExit(answer.startswith("refused"))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
