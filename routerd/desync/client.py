"""A client's first flight over TCP: held until it is a whole hello or request, then let go, or played otherwise. Pure.

What was once replaced is replaced again when the client repeats it: a repetition in clear would say it all.
"""

from __future__ import annotations

from routerd.desync.flow import Ask, Flow, Held
from routerd.desync.hello import said as what_is_said
from routerd.desync.outcome import ACCEPT, DROP, REPEATED, Outcome
from routerd.desync.packet import FIN, RST, SYN, Packet
from routerd.desync.play import Flight, Path, play
from routerd.desync.steps import Strategy
from routerd.desync.stream import Stream

MOST_HELD, LONGEST = 12, 16384  # packets, bytes
GIVEN_UP = 3.0  # seconds from a hello to a client's reset that say that it waited for more


def take(flow: Flow, got: Held, now: float, out: Outcome) -> bool:
    """Whether what is held is all that has to be waited for."""
    packet = got.packet
    if packet.flags & SYN:
        _begins(flow, packet, out)
        # With data in it (TCP Fast Open) it is not let out: the client asks again without.
        out.answer(got.number, got.mark, DROP if packet.payload else ACCEPT)
    elif packet.flags & RST or not packet.payload:
        _ends(flow, packet, now, out)
        out.answer(got.number, got.mark, ACCEPT)
    elif flow.settled:
        _more(flow, got, now, out)
    else:
        return _hold(flow, got, now)
    return False


def settle(flow: Flow, now: float, out: Outcome) -> None:
    assert flow.stream is not None
    if not flow.stream.said:  # its beginning was lost: what lies behind may hold the name, and comes again with it
        out.give(flow, DROP)
        flow.settled, flow.stream, flow.first = False, None, None
        return
    flow.said = bytes(flow.stream.said)
    strategy = out.strategy(flow, now)
    if strategy is None:
        out.give(flow, DROP)  # its client says it again
    elif strategy:
        out.give(flow, DROP)
        _play(flow, strategy, out)
    else:
        out.give(flow, ACCEPT)


def _begins(flow: Flow, packet: Packet, out: Outcome) -> None:
    flow.repeats += flow.start is not None
    flow.start = (packet.seq + 1) & 0xFFFFFFFF
    if flow.repeats == REPEATED:
        out.signs.append(("unanswered", Ask("tls", "", packet.dst)))


def _ends(flow: Flow, packet: Packet, now: float, out: Outcome) -> None:
    """Said three times over, nobody is there any more, though somebody was: the flow was silenced on the way."""
    if packet.flags & RST:
        flow.closed = True
        if flow.ask and now - flow.at >= GIVEN_UP:
            out.failed(flow, "slow")
    elif packet.flags & FIN:
        flow.closed = True
        flow.ends += 1
        if flow.ends > REPEATED and flow.heard:
            out.failed(flow, "stalled")


def _hold(flow: Flow, got: Held, now: float) -> bool:
    packet = got.packet
    if flow.start is None:  # begun before us
        flow.start = packet.seq
    if flow.stream is None:
        flow.stream, flow.at = Stream(flow.start), now
    if flow.first is None or packet.seq == flow.start:
        flow.first = packet
    flow.size = max(flow.size, len(packet.payload))
    flow.held.append(got)
    said = flow.stream.add(packet.seq, packet.payload)
    return _whole(flow, said, packet) or len(flow.held) >= MOST_HELD or len(said) > LONGEST


def _whole(flow: Flow, said: bytes, packet: Packet) -> bool:
    """Whether nothing more has to be waited for, and what it is."""
    if not said:
        return False
    found = what_is_said(said)
    if found is None:
        return True
    flow.ask = Ask("tls" if found.kind == "tls" else "http", found.name, packet.dst)
    return found.whole


def _more(flow: Flow, got: Held, now: float, out: Outcome) -> None:
    """Behind the first flight; or that once more, which is played once more."""
    offset = (got.packet.seq - (flow.start or 0)) & 0xFFFFFFFF
    if offset >= len(flow.said) or flow.ask is None:
        out.answer(got.number, got.mark, ACCEPT)
        return
    flow.repeats += 1
    if flow.repeats >= REPEATED and not flow.heard:
        out.failed(flow, "silent")
    strategy = out.choose(flow.ask, now)
    as_it_is = strategy is not None and not (flow.played or strategy)
    out.answer(got.number, got.mark, ACCEPT if as_it_is else DROP)
    if strategy is not None and not as_it_is:
        _play(flow, strategy, out)


def _play(flow: Flow, strategy: Strategy, out: Outcome) -> None:
    assert flow.first is not None
    flow.played = True
    whole = Flight(flow.first, flow.start or 0, flow.said, flow.size)
    out.send(play(strategy, whole, Path(flow.hops)))
