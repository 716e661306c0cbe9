"""Hosts and links: a host is a network and a mount namespace, held by a sleeping process and entered with nsenter.

Nothing is named under /run/netns, so labs run side by side. A host's /etc/resolv.conf, /etc/hosts, /sys, a few
run directories and /dev/net (with the mode that udev gives it) are its own; the rest of the file system is the machine's.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

from . import keeper

T = TypeVar("T")
Output = int | IO[bytes] | IO[str] | None
CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33  # asm-generic/socket.h; Python has no name for it
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = float(os.environ.get("CLEARWAY_LAB_PATIENCE", "1"))  # how many times longer all may take: emulation is slow

# wg and dhcpcd keep sockets and pid files by interface name, which two labs (or two hosts of one) would share.
PRIVATE_DIRECTORIES = ("/run/wireguard", "/run/amneziawg", "/run/dhcpcd", "/var/lib/dhcpcd", "/var/lib/misc")

HOLD = """
set -e
mount -t sysfs sysfs /sys
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/hosts" /etc/hosts
for d in {private}; do mkdir -p $d; mount -t tmpfs tmpfs $d; done
mkdir -p /dev/net; mount -t tmpfs tmpfs /dev/net; mknod -m 666 /dev/net/tun c 10 200
cd /proc/sys/net
for c in all default; do
  echo 0 > ipv6/conf/$c/accept_dad; echo 0 > ipv6/conf/$c/dad_transmits; echo 0 > ipv6/conf/$c/accept_ra
  echo 0 > ipv6/conf/$c/forwarding; echo 0 > ipv4/conf/$c/forwarding; echo 0 > ipv4/conf/$c/rp_filter
done
echo 0 > ipv4/ip_forward
echo "0 2147483647" > ipv4/ping_group_range
echo 0 > ipv4/icmp_ratelimit
ip link set lo up
echo ready
exec sleep infinity
""".replace("{private}", " ".join(PRIVATE_DIRECTORIES))


class LabError(Exception):
    """The lab itself failed; says what, and shows the program's own words."""


def _reason(argv: Sequence[str], status: int, output: str) -> str:
    return f"{' '.join(argv)} exited with {status}: {output.strip()[-2000:]}"


@dataclass(frozen=True, slots=True)
class Host:
    """One machine of the lab. `pid` is the holder's; `env` is what its programs see and nothing more."""

    name: str
    pid: int
    inode: int
    directory: Path
    env: Mapping[str, str]
    children: list[subprocess.Popen[str]] = field(default_factory=list)

    def argv(self, argv: Sequence[str], cwd: str | Path | None = None) -> list[str]:
        """The command line that runs `argv` inside; exec all the way, so the pid is the program's own."""
        inside = ["env", "-C", str(cwd)] if cwd else []
        return ["nsenter", "-t", str(self.pid), "-n", "-m", *inside, *argv]

    def run(self, argv: Sequence[str], timeout: float = 20, check: bool = True,
            input: str | None = None,
            env: Mapping[str, str] | None = None, cwd: str | Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run to the end; LabError with the program's words unless it exits 0 (when `check`)."""
        done = subprocess.run(self.argv(argv, cwd), input=input, capture_output=True, text=True, errors="replace",
                              timeout=timeout * PATIENCE, env={**self.env, **(env or {})},
                              stdin=None if input is not None else subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise LabError(f"{self.name}: {_reason(argv, done.returncode, done.stderr + done.stdout)}")
        return done

    def popen(self, argv: Sequence[str], log: str | None = None, stdin: Output = subprocess.DEVNULL,
              stdout: Output = None, stderr: Output = None, env: Mapping[str, str] | None = None,
              cwd: str | Path | None = None) -> subprocess.Popen[str]:
        """Start a program; unless told otherwise its output goes to `directory/LOG.log`. Ends with the lab."""
        with (self.directory / f"{log or Path(argv[0]).name}.log").open("ab") as file:
            child = subprocess.Popen(self.argv(argv, cwd), stdin=stdin, stdout=stdout or file, stderr=stderr or file,
                                     text=True, env={**self.env, **(env or {})}, start_new_session=True)
        self.children.append(child)
        return child

    def module(self, name: str, *args: str, log: str | None = None, stdin: Output = subprocess.DEVNULL,
               stdout: Output = None) -> subprocess.Popen[str]:
        """Start a module of this package as a program inside."""
        return self.popen([sys.executable, "-m", f"{__package__}.{name}", *args], log=log or name, stdin=stdin,
                          stdout=stdout, cwd=ROOT)

    def sh(self, script: str) -> str:
        """Run a shell script, stopping at its first error; its output."""
        return self.run(["sh", "-ec", script]).stdout

    def call(self, function: Callable[[], T]) -> T:
        """Run a Python function of ours inside the network namespace: sockets that it opens live there."""
        results: list[T] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                with Path(f"/proc/{self.pid}/ns/net").open("rb") as file:
                    if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                results.append(function())
            except BaseException as error:  # handed to the caller below
                errors.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def listens(self, proto: str, port: int) -> bool:
        """Whether a socket is open for this tcp or udp port, v4 or v6, on any address."""
        state = "0A" if proto == "tcp" else "07"
        for name in (proto, proto + "6"):
            for line in Path(f"/proc/{self.pid}/net/{name}").read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == state and int(words[1].rpartition(":")[2], 16) == port:
                    return True
        return False

    def connected(self, port: int) -> bool:
        """Whether a TCP connection to this remote port is established."""
        lines = [line.split() for name in ("tcp", "tcp6")
                 for line in Path(f"/proc/{self.pid}/net/{name}").read_text().splitlines()[1:]]
        return any(words[3] == "01" and words[2].endswith(f":{port:04X}") for words in lines)

    def resolver(self, *addresses: str) -> None:
        """Whom this host asks for names, from now on."""
        lines = [f"nameserver {address}\n" for address in addresses]
        # Written in place: a new file would not be seen through the bind mount.
        (self.directory / "resolv.conf").write_text("".join(lines) + "options timeout:1 attempts:2\n")

    def curl(self, url: str, *args: str, timeout: float = 10) -> subprocess.CompletedProcess[str]:
        """curl, silent but for errors, never raises; returncode is curl's."""
        argv = ["curl", "-sS", "--max-time", str(timeout), *args, url]
        return self.run(argv, timeout=timeout + 5, check=False)

    def dig(self, name: str, kind: str = "A", server: str | None = None, *args: str, timeout: int = 1) -> list[str]:
        """The answers' values, in the order received; empty where there is none or no answer came."""
        at = [f"@{server}"] if server else []
        argv = ["dig", *at, "+short", f"+time={timeout}", "+tries=1", *args, name, kind]
        out = self.run(argv, timeout=timeout * 3 + 5, check=False).stdout
        return [line for line in out.splitlines() if line and not line.startswith(";")]


@dataclass(slots=True)
class Net:
    """All hosts of one lab, and the keeper that outlives it."""

    directory: Path
    env: Mapping[str, str]
    keeper: subprocess.Popen[str]
    hosts: dict[str, Host] = field(default_factory=dict)

    @classmethod
    def new(cls) -> "Net":
        directory = Path(tempfile.mkdtemp(prefix="clearway-lab-"))
        directory.chmod(0o755)
        env = {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
               "SSL_CERT_FILE": str(directory / "ca.pem")}
        watch = subprocess.Popen([sys.executable, keeper.__file__], stdin=subprocess.PIPE, text=True,
                                 start_new_session=True)
        net = cls(directory, env, watch)
        net._tell(f"dir {directory}")
        return net

    def _tell(self, line: str) -> None:
        assert self.keeper.stdin
        self.keeper.stdin.write(line + "\n")
        self.keeper.stdin.flush()

    def add(self, *names: str) -> list[Host]:
        """Make hosts, all at once."""
        holders = [(name, self._hold(name)) for name in names]
        return [self._ready(name, holder) for name, holder in holders]

    def _hold(self, name: str) -> subprocess.Popen[str]:
        directory = self.directory / name
        directory.mkdir()
        (directory / "resolv.conf").write_text("")
        (directory / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        argv = ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", HOLD, "sh", str(directory)]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=dict(self.env),
                                start_new_session=True)

    def _ready(self, name: str, holder: subprocess.Popen[str]) -> Host:
        assert holder.stdout
        with holder.stdout as output:
            if output.readline() != "ready\n":
                raise LabError(f"could not make host {name}: its namespace's set-up exited with {holder.wait()}")
        inode = Path(f"/proc/{holder.pid}/ns/net").stat().st_ino
        self._tell(f"net {inode} {holder.pid}")
        host = self.hosts[name] = Host(name, holder.pid, inode, self.directory / name, self.env, [holder])
        return host

    def close(self) -> None:
        """Kill what runs on the hosts, then the hosts (their links go with them), and remove the directory.

        With CLEARWAY_LAB_KEEP=1 in the environment the directory stays, to read the logs.
        """
        keeper.end([host.inode for host in self.hosts.values()], [host.pid for host in self.hosts.values()])
        for host in self.hosts.values():
            for child in host.children:
                child.wait(5)
                for pipe in (child.stdin, child.stdout, child.stderr):
                    if pipe:
                        with contextlib.suppress(BrokenPipeError):
                            pipe.close()
        if not os.environ.get("CLEARWAY_LAB_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)
        self._tell("done")
        assert self.keeper.stdin
        self.keeper.stdin.close()
        self.keeper.wait(5)


def link(a: Host, a_name: str, b: Host, b_name: str) -> None:
    """A wire between two hosts, both ends up, no addresses."""
    a.run(["ip", "link", "add", a_name, "type", "veth", "peer", "name", b_name, "netns", str(b.pid)])
    a.run(["ip", "link", "set", a_name, "up"])
    b.run(["ip", "link", "set", b_name, "up"])


def wait_until(condition: Callable[[], bool], seconds: float, what: str, step: float = 0.01) -> None:
    """Poll; LabError naming `what` when the time is over."""
    end = time.monotonic() + seconds * PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise LabError(f"not within {seconds * PATIENCE:g} s: {what}")
        time.sleep(step * PATIENCE)
