"""What is done to a way: one function for each quantity, from the phone to blocked.example. Each gives one number."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from tests.lab import Host, LabError
from tests.lab.net import ROOT

SITE = "198.51.100.10"
WORKERS = 32
DATAGRAM = 1200  # bytes of payload: whole on every path, tunnels included


@dataclass(frozen=True, slots=True)
class Kind:
    """A quantity: `floor` is the share of the compared way's that is asked of ours.

    `more`, of datagrams: how many times what is carried is offered, the same to both. As fast as a program can send is
    not the same to both: the phone shares its core with the servers, and sends twice as much where they get less.
    """

    name: str
    unit: str
    floor: float | None
    more: float = 0


TCP_DOWN = Kind("TCP down", "Mbit/s", 0.95)
TCP_UP = Kind("TCP up", "Mbit/s", 0.95)
UDP_UP = Kind("UDP up", "Mbit/s", 0.95, more=1.25)
UDP_DOWN = Kind("UDP down", "Mbit/s", 0.95, more=1.25)
UDP_FLOOD = Kind("UDP up, three times too much", "Mbit/s", 0.95, more=3)
UDP_FLOOD_DOWN = Kind("UDP down, three times too much", "Mbit/s", 0.95, more=3)
UDP_SHARE = Kind("UDP up, 20 Mbit/s, delivered", "%", 0.95)
CONNECTIONS = Kind("new TCP connections", "1/s", 0.9)
KINDS = (TCP_DOWN, TCP_UP, UDP_UP, UDP_DOWN, UDP_FLOOD, UDP_FLOOD_DOWN, UDP_SHARE, CONNECTIONS)
OVER_TCP = (TCP_DOWN, TCP_UP, CONNECTIONS)


def measure(phone: Host, kind: Kind, seconds: int, offered: float = 0) -> float:
    """`offered`, of datagrams: in Mbit/s; 0: as fast as they can be sent, which is many times what can be carried."""
    rate = f"{offered:.0f}M"
    match kind.name:
        case TCP_DOWN.name:
            return mbits(iperf(phone, seconds, "-R")["end"]["sum_received"])
        case TCP_UP.name:
            return mbits(iperf(phone, seconds)["end"]["sum_received"])
        case UDP_UP.name | UDP_FLOOD.name:
            return mbits(_udp(phone, seconds, rate))
        case UDP_DOWN.name | UDP_FLOOD_DOWN.name:
            return mbits(_udp(phone, seconds, rate, "-R"))
        case UDP_SHARE.name:
            return 100 - float(_udp(phone, seconds, "20M")["lost_percent"])
        case _:
            return connections(phone, seconds)


def connections(phone: Host, seconds: int) -> float:
    """Pages fetched per second, each over a connection of its own."""
    argv = [sys.executable, "-m", "bench.connections", SITE, str(WORKERS), str(seconds)]
    good, bad = map(float, phone.run(argv, timeout=seconds + 20, cwd=ROOT).stdout.split())
    if bad > good * seconds * 0.01:
        raise LabError(f"{bad:.0f} connections failed, {good * seconds:.0f} were good")
    return good


def _udp(phone: Host, seconds: int, rate: str, *more: str) -> dict[str, Any]:
    end = iperf(phone, seconds, "-u", "-b", rate, "-l", str(DATAGRAM), *more)["end"]
    received: dict[str, Any] = end["sum_received"]  # of what was sent, what the other end saw
    return received


def iperf(phone: Host, seconds: int, *more: str, to: str = SITE) -> dict[str, Any]:
    argv = ["iperf3", "-c", to, "-t", str(seconds), "-J", "--connect-timeout", "5000", *more]
    answer: dict[str, Any] = json.loads(phone.run(argv, timeout=seconds + 20, check=False).stdout or "{}")
    if "error" in answer or not answer:
        raise LabError(f"iperf3: {answer.get('error', 'no answer')}")
    return answer


def mbits(sum_: dict[str, Any]) -> float:
    return float(sum_["bits_per_second"]) / 1e6
