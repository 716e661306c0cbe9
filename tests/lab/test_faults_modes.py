"""Fault 43: from mode to mode a thousand times, while flows that nobody closes go on and on."""

import json
import os
import signal
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise

import pytest

from .box import Box
from .capture import Allowed
from .fault import SERVERS, engine, heavy_enough, home
from .household import Load
from .lab import Lab
from .modes import DEAD, DEAD_TRANSPORT, Modes, Stay, lifelong
from .topology import WAN4, WAN6
from .verdict import clear_times

__all__ = ["SERVERS"]
CUT = 0.1  # seconds: of no change the last frame in clear is later than this, nor of 95 in 100 an app's learning of it
AT_ONCE = 0.02  # seconds: of 95 in 100 changes the last frame in clear; the rest had waited in a queue (ARP, a busy core)
ROUNDS, PAIRS = 5, {"ss2022": 49, "wireguard": 19}  # a round is 4 * PAIRS + 5 changes: a thousand, and four hundred
STAY = 0.03  # seconds in a mode
Line = tuple[float, str, str]


@pytest.mark.parametrize("good", PAIRS)
def test_fault_43_a_thousand_changes_of_mode_cut_old_flows_and_none_goes_on_in_clear(lab: Lab, good: str) -> None:
    """Tunnel, direct, block, by the owner's wish, by the file, by a transport that dies, is disabled and comes back.

    A flow in a tunnel that still works lives on when new ones are blocked: one flow, one exit, for life.
    """
    with home(lab, [good], warm=1, on_failure="direct", extra=DEAD_TRANSPORT) as box:
        box.wait(lambda s: s["transports"][0]["state"] == "down", 20, "the dead one is known to be dead")
        capture = lab.capture([lab.server(good), *(Allowed(DEAD, proto, 8388) for proto in ("tcp", "udp"))], bulk=True)
        kept = lab.directory / "modes.pcap"
        try:
            with Load(lab) as load, lifelong(lab) as file:
                kill = lambda: os.kill(_engine(box, good), signal.SIGKILL)  # noqa: E731
                stays = lab.router.call(lambda: _drive(box, good, kill))
        finally:
            capture.stop(kept)
        clear = clear_times(kept.read_bytes(), capture.router_mac, capture.allowed, capture.tokens)
    kept.unlink()
    heavy_enough(load)
    assert len(stays) > ROUNDS * (4 * PAIRS[good] + 5)
    _in_clear_when_direct_alone(stays, clear)
    lines = [tuple(json.loads(line)) for line in file.read_text().splitlines()]
    _old_connections_are_cut(stays, lines)
    _old_ports_find_the_new_way(stays, lines)


def _drive(box: Box, good: str, kill: Callable[[], None]) -> list[Stay]:
    modes = Modes(box, good)
    modes.reach("tunnel")
    for _ in range(ROUNDS):
        modes.round(PAIRS[good], STAY, kill)
    return modes.stays


def _engine(box: Box, good: str) -> int:
    return box.children("wireguard-go")[0] if good == "wireguard" else engine(box, 12302)


def _in_clear_when_direct_alone(stays: list[Stay], clear: list[float]) -> None:
    """And that it is seen at all, in all of direct mode, is this run's anti-test."""
    direct = [at for at, stay in enumerate(stays) if stay.mode == "direct"]
    last = dict.fromkeys(direct, 0.0)  # after each stay in direct mode, the delay of the last frame in clear
    seen = set()
    for when in clear:
        at = bisect_right(stays, when, key=lambda stay: stay.began) - 1
        before = direct[max(0, bisect_right(direct, at) - 1)]
        if at == before:
            seen.add(at)
        else:
            last[before] = max(last[before], when - stays[before + 1].seen)
    delays = sorted(last.values())
    print(f"{len(stays)} stays, {len(direct)} of them direct; {len(clear)} frames in clear, the last {delays[-1] * 1000:.0f} ms after")
    assert clear and min(clear) >= stays[direct[0]].began
    assert delays[-1] <= CUT
    assert delays[len(delays) * 95 // 100] <= AT_ONCE
    assert len(seen) > 0.95 * len(direct)


def _old_connections_are_cut(stays: list[Stay], lines: list[Line]) -> None:
    """Those that were opened in direct mode, when it ends."""
    delays = []
    for number in ("0", "1"):
        events = [(when, kind) for when, kind, flow in lines if flow == number and kind in ("opened", "cut")]
        for (opened, kind), (cut, _) in pairwise(events):
            at = bisect_right(stays, opened, key=lambda stay: stay.began) - 1
            if kind == "opened" and stays[at].mode == "direct" and at + 1 < len(stays) and opened > stays[at].seen:
                delays.append(cut - stays[at + 1].seen)
    _are_quick("a connection of direct mode is cut", delays, 10)


def _old_ports_find_the_new_way(stays: list[Stay], lines: list[Line]) -> None:
    """UDP of the same ports is answered through what the mode says, and not only when it has been silent for a while.

    A stay is short, and a busy machine slow, so not in every one; flows that kept their old mark had no answer in most.
    """
    answers = [(when, "direct" if peer in (WAN4, WAN6) else "tunnel") for when, kind, peer in lines if kind == "answer"]
    for mode in ("direct", "tunnel"):
        delays, silent = [], 0
        for stay, following in pairwise(stays):
            first = bisect_right(answers, stay.seen, key=lambda answer: answer[0])
            here = [when for when, way in answers[first:first + 100] if when < following.began and way == mode]
            if stay.mode == mode:
                delays += [here[0] - stay.seen] if here else []
                silent += not here
        print(f"{silent} of {silent + len(delays)} stays in {mode} mode without an answer")
        assert silent < len(delays) / 2
        _are_quick(f"the first answer of {mode} mode", delays, 50, share=0.5)


def _are_quick(what: str, delays: list[float], least: int, share: float = 0.95) -> None:
    """By the catalogue's rule for times: 95 of 100."""
    assert len(delays) >= least, (what, len(delays))
    ordered = sorted(delays)
    print(f"{what}: median {ordered[len(ordered) // 2] * 1000:.0f} ms, 95 of 100 {ordered[len(ordered) * 95 // 100] * 1000:.0f} ms")
    assert ordered[int(len(ordered) * share)] <= CUT, what
