"""What a server's packets say of the flow that they belong to: how far it is, and whether it hears, and is heard. Pure.

TCP alone: what a server says in QUIC does not come by here (datagrams.py).
"""

from __future__ import annotations

from routerd.desync.flow import Ask, Flow
from routerd.desync.outcome import REPEATED, Outcome
from routerd.desync.packet import RST, SYN, TCP, Packet

OTHERS = 2  # hops by which an answer comes from another distance than the connection: it is somebody else's
BEGINNINGS = (255, 128, 64)  # hop limits that systems begin with


def answered(flow: Flow, packet: Packet, local: bool, now: float, out: Outcome) -> None:
    """`local`: it is for the box itself, so that it was not forwarded yet."""
    if packet.proto != TCP:
        return
    flow.repeats = 0 if flow.stream is None else flow.repeats
    ttl = packet.ttl + (not local)  # forwarded, it has lost one here
    if packet.flags & RST:
        if not (flow.heard or flow.closed):
            out.failed(flow, "reset")
    elif packet.flags & SYN:
        flow.far = ttl
        flow.hops = next((b for b in reversed(BEGINNINGS) if b >= ttl), 255) - ttl
    elif packet.payload and flow.settled and flow.ask is not None:
        out.alive = now
        _words(flow, flow.ask, packet.seq, ttl, out)


def _words(flow: Flow, ask: Ask, seq: int, ttl: int, out: Outcome) -> None:
    """The server's: the first are a good sign; said four times over, our acknowledgements do not get there."""
    flow.again = flow.again + 1 if seq == flow.last else 0
    flow.last = seq
    if flow.again > REPEATED:
        out.failed(flow, "stalled")
    if flow.heard:
        return
    flow.heard = True
    if ask.kind == "http" and flow.far is not None and abs(ttl - flow.far) >= OTHERS:
        out.failed(flow, "forged")
    else:
        out.heard(ask)
