"""A flow of QUIC: its Initials are held until they say a name, then let go, or others sent in their place. Pure.

What a server says is sealed, and does not come by here: whether a client was answered is told by what it says next.
"""

from __future__ import annotations

from routerd.desync import quic
from routerd.desync.flow import Ask, Flow, Held
from routerd.desync.outcome import ACCEPT, DROP, Outcome
from routerd.desync.packet import Packet
from routerd.desync.play import Path, play_datagrams

MOST_HELD = 4  # packets
ANSWERED = 1.0  # seconds within which a client of QUIC stops saying Initials where it is answered


def take(flow: Flow, got: Held, now: float, out: Outcome) -> bool:
    """Whether nothing more has to be waited for."""
    packet = got.packet
    if flow.settled or packet.dport != 443 or not quic.is_initial(packet.payload):
        _behind_initials(flow, packet, now, out)
        out.answer(got.number, got.mark, ACCEPT)
        return False
    if not flow.held:
        flow.at = now
    flow.held.append(got)
    flow.datagrams.append(packet)
    name = quic.name([each.payload for each in flow.datagrams])
    flow.ask = Ask("quic", name or "", packet.dst)
    return name is not None or len(flow.held) >= MOST_HELD


def settle(flow: Flow, now: float, out: Outcome) -> None:
    if not (strategy := out.strategy(flow, now)):
        out.give(flow, ACCEPT)
        return
    out.give(flow, DROP)
    for packet in flow.datagrams:
        out.send(play_datagrams(strategy, packet, Path(flow.hops)))


def _behind_initials(flow: Flow, packet: Packet, now: float, out: Outcome) -> None:
    """A client that says something else than Initials was answered; one that says them again is not, if others are."""
    if flow.ask is None or flow.heard or not flow.settled:
        return
    if not quic.is_initial(packet.payload):
        flow.heard, out.alive = True, now
        out.heard(flow.ask)
    elif now - flow.at >= ANSWERED and out.alive > flow.at:
        out.failed(flow, "silent")
