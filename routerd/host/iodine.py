"""A client of iodined, protocol 00000502: IPv4 packets in DNS questions and answers, for where nothing else gets out.

A program of its own, not imported by anything; its configuration comes as JSON on standard input. Debian's client takes
what a stranger says to a shell, as root (docs/decisions/0017); this one has no shell, no files and no root. It makes
its interface, gives it the one address that the server says, and carries. Nothing is encrypted here: what travels
inside has to be. What the protocol is made of is in dnstunnel/.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import socket
import struct
import sys
import time
from ipaddress import IPv4Address

from routerd.host.dnstunnel.line import Line, Refused
from routerd.host.dnstunnel.login import log_in
from routerd.host.dnstunnel.tunnel import TRIES, Tunnel
from routerd.host.dnstunnel.writing import LARGEST

AGAIN = 0.02  # seconds between looks at an interface that is still there
SILENCE = 60.0  # seconds after which the server has forgotten us
TAKEN = 3.0  # seconds that the kernel may need to take down the interface of the one before us
QUEUE = 8  # packets: more of them would be late ones
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFTXQLEN = 0x8916, 0x891C, 0x8943


def interface(name: str) -> int:
    tun, end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK), time.monotonic() + TAKEN
    while True:
        try:
            fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        except OSError as e:
            if e.errno != errno.EBUSY or time.monotonic() > end:
                raise
            time.sleep(AGAIN)
        else:
            return tun


def addressed(name: str, address: IPv4Address) -> None:
    """One host's address: no network comes with it. routerd brings it up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((SIOCSIFADDR, address.packed), (SIOCSIFNETMASK, b"\xff" * 4)):
            place = struct.pack("=HH4s8x", socket.AF_INET, 0, value)
            fcntl.ioctl(control, request, struct.pack("16s16s8x", name.encode(), place))
        fcntl.ioctl(control, SIOCSIFTXQLEN, struct.pack("16si20x", name.encode(), QUEUE))


def carry(tunnel: Tunnel, tun: int) -> None:
    """Until the server has forgotten us."""
    sock = tunnel.line.sock
    sock.setblocking(False)
    tunnel.heard = time.monotonic()
    tunnel.ping()
    while time.monotonic() < tunnel.heard + SILENCE:
        free = not tunnel.packet or tunnel.tries >= TRIES - 1  # what is late is dropped: TCP sends it again
        waiting: list[int] = [sock.fileno(), tun] if free else [sock.fileno()]
        ready, _, _ = select.select(waiting, [], [], max(0.0, tunnel.ping_at - time.monotonic()))
        if sock.fileno() in ready and (found := tunnel.line.receive()):
            for packet in tunnel.take(*found):
                os.write(tun, packet)
        if tun in ready and (packet := os.read(tun, LARGEST))[0] >> 4 == 4:
            tunnel.put(packet)
        if time.monotonic() >= tunnel.ping_at:
            tunnel.due()
    raise Refused("the server has been silent for a minute")


def main() -> int:
    settings = json.load(sys.stdin)
    sock = socket.socket(socket.AF_INET6 if ":" in settings["resolver"] else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, settings["mark"])
    try:
        tun = interface(settings["interface"])
        sock.connect((settings["resolver"], settings["port"]))
        line = Line(sock, settings["domain"])
        session = log_in(line, settings["password"])
        addressed(settings["interface"], session.address)
        carry(Tunnel(line, session), tun)
    except (Refused, OSError) as e:
        print(f"iodine: {e}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
