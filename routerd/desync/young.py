"""A flow's first packets: held until what they say is whole, then let go as they are, or others sent in their place.

Pure: packets in; verdicts, packets and signs out, which the worker takes from the three lists. What the worker once
replaced it replaces again when the client repeats it: a repetition in clear would say it all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from routerd.desync import quic
from routerd.desync.hello import said as what_is_said
from routerd.desync.packet import ACK, FIN, RST, SYN, TCP, Packet
from routerd.desync.play import Flight, Path, play, play_datagrams
from routerd.desync.steps import Strategy
from routerd.desync.stream import Stream
from routerd.model import TRIAL_MASK

Kind = Literal["tls", "http", "quic"]
Sign = Literal["heard", "reset", "silent", "slow", "stalled", "forged", "unanswered"]
DROP, ACCEPT = 0, 1
MOST = 4096  # flows that are remembered
STALE = 120.0  # seconds after which one may be forgotten
PATIENCE = 0.25  # seconds that the rest of a hello is waited for; less than what the watchdog takes for a hung worker
MOST_HELD, LONGEST = 12, 16384  # packets, bytes
REPEATED = 2  # times that a client says the same before that is silence
GIVEN_UP = 3.0  # seconds from a hello to a client's reset that say that it waited for more
OTHERS = 2  # hops by which an answer comes from another distance than the connection: it is somebody else's
ANSWERED = 1.0  # seconds within which a client of QUIC stops saying Initials where it is answered
BEGINNINGS = (255, 128, 64)  # hop limits that systems begin with

Key = tuple[bytes, int, bytes, int]


@dataclass(frozen=True, slots=True)
class Ask:
    """Whose strategy is asked for. `host`: as the client said it, or the server's address. `trial`: a search's own."""

    kind: Kind
    host: str
    address: bytes
    trial: int = 0


Choose = Callable[[Ask, float], Strategy | None]  # and the time; None: let nothing out for now


@dataclass(slots=True)
class Flow:
    """`said`: what the client's first flight was. `held`: packets without a verdict, with their marks."""

    at: float
    start: int | None = None  # seq of its first byte
    stream: Stream | None = None
    held: list[tuple[int, int]] = field(default_factory=list)
    first: Packet | None = None
    datagrams: list[Packet] = field(default_factory=list)
    size: int = 0
    hops: int | None = None
    far: int | None = None  # the hop limit that the server's first packet came with
    last: int | None = None  # the number of its last words
    ends: int = 0  # times that the client has said that it has no more to say
    again: int = 0  # times that it has said them since
    ask: Ask | None = None
    said: bytes = b""
    settled: bool = False
    played: bool = False
    heard: bool = False
    closed: bool = False  # by the client: what the server resets then is its own affair
    told: bool = False  # of one failure
    repeats: int = 0


class Young:
    """`mark`: what lets a packet pass, given its own."""

    def __init__(self, choose: Choose, mark: Callable[[int], int]) -> None:
        self.verdicts: list[tuple[int, int, int]] = []
        self.packets: list[Packet] = []
        self.signs: list[tuple[Sign, Ask]] = []
        self._choose = choose
        self._mark = mark
        self._flows: dict[Key, Flow] = {}
        self._waiting: dict[Key, Flow] = {}
        self._alive = float("-inf")  # when a server was last heard: the line works

    def take(self, number: int, mark: int, packet: Packet | None, local: bool, now: float) -> None:
        """`local`: it is for the box itself, so that it was not forwarded yet."""
        if packet is None:  # nothing that a client of a page sends; nobody has looked into it
            self.verdicts.append((number, DROP, 0))
            return
        back = self._flows.get((packet.dst, packet.dport, packet.src, packet.sport))
        if back is not None:
            self._answered(back, packet, local, now)
            self.verdicts.append((number, ACCEPT, self._mark(mark)))
            return
        key = (packet.src, packet.sport, packet.dst, packet.dport)
        flow = self._flows.get(key)
        if flow is None or _opens_anew(flow, packet):
            flow = self._begin(key, now)
        if packet.proto == TCP:
            self._from_client(key, flow, number, mark, packet, now)
        else:
            self._datagram(key, flow, number, mark, packet, now)

    def due(self, now: float) -> None:
        """What has been held for too long is dealt with as far as it is known."""
        for key, flow in list(self._waiting.items()):
            if now - flow.at < PATIENCE:
                break
            self._settle(key, flow, now)

    def holds(self) -> bool:
        return bool(self._waiting)

    def _forget(self, now: float) -> None:
        """Two old ones for each new one: what a household's flows said is not kept for longer than it is of use."""
        for key in list(islice(self._flows, 2)):
            if now - self._flows[key].at > STALE and key not in self._waiting:
                del self._flows[key]

    def _begin(self, key: Key, now: float) -> Flow:
        self._forget(now)
        if len(self._flows) >= MOST:
            oldest = next(iter(self._flows))
            if oldest in self._waiting:
                self._settle(oldest, self._flows[oldest], now)
            del self._flows[oldest]
        self._flows.pop(key, None)
        if (before := self._waiting.pop(key, None)) is not None:
            self._give(before, DROP)  # nobody waits for it any more
        flow = self._flows[key] = Flow(now)
        return flow

    # -- the client -----------------------------------------------------------------------------------------------

    def _from_client(self, key: Key, flow: Flow, number: int, mark: int, packet: Packet, now: float) -> None:
        payload = packet.payload
        if packet.flags & SYN:
            flow.repeats += flow.start is not None
            flow.start = (packet.seq + 1) & 0xFFFFFFFF
            if flow.repeats == REPEATED:
                self.signs.append(("unanswered", Ask("tls", "", packet.dst)))
            # With data in it (TCP Fast Open) it is not let out: the client asks again without.
            self._answer(number, mark, DROP if payload else ACCEPT)
        elif packet.flags & RST:
            flow.closed = True
            if flow.ask and now - flow.at >= GIVEN_UP:
                self._sign(flow, "slow")
            self._answer(number, mark, ACCEPT)
        elif not payload:
            if packet.flags & FIN:
                self._ends(flow)
            self._answer(number, mark, ACCEPT)
        elif flow.settled:
            self._more(flow, number, mark, packet, now)
        else:
            self._hold(key, flow, number, mark, packet, now)

    def _ends(self, flow: Flow) -> None:
        """Said three times over, nobody is there any more, though somebody was: the flow was silenced on the way."""
        flow.closed = True
        flow.ends += 1
        if flow.ends > REPEATED and flow.heard:
            self._sign(flow, "stalled")

    def _hold(self, key: Key, flow: Flow, number: int, mark: int, packet: Packet, now: float) -> None:
        if flow.start is None:  # begun before us
            flow.start = packet.seq
        if flow.stream is None:
            flow.stream, flow.at = Stream(flow.start), now
            self._waiting[key] = flow
        if flow.first is None or packet.seq == flow.start:
            flow.first = packet
        flow.size = max(flow.size, len(packet.payload))
        flow.held.append((number, mark))
        said = flow.stream.add(packet.seq, packet.payload)
        if self._whole(flow, said, packet) or len(flow.held) >= MOST_HELD or len(said) > LONGEST:
            self._settle(key, flow, now, mark)

    def _whole(self, flow: Flow, said: bytes, packet: Packet) -> bool:
        """Whether nothing more has to be waited for, and what it is."""
        if not said:
            return False
        found = what_is_said(said)
        if found is None:
            return True
        flow.ask = Ask("tls" if found.kind == "tls" else "http", found.name, packet.dst)
        return found.whole

    def _settle(self, key: Key, flow: Flow, now: float, mark: int = 0) -> None:
        self._waiting.pop(key, None)
        flow.settled = True
        if flow.stream is None:
            self._settle_datagrams(flow, mark, now)
            return
        if not flow.stream.said:  # its beginning was lost: what lies behind may hold the name, and comes again with it
            self._give(flow, DROP)
            flow.settled, flow.stream, flow.first = False, None, None
            return
        flow.said = bytes(flow.stream.said)
        strategy = self._strategy(flow, mark or next((m for _, m in flow.held), 0), now)
        if strategy is None:
            self._give(flow, DROP)  # its client says it again
        elif strategy:
            self._give(flow, DROP)
            self._play(flow, strategy)
        else:
            self._give(flow, ACCEPT)

    def _more(self, flow: Flow, number: int, mark: int, packet: Packet, now: float) -> None:
        """Behind the first flight; or that once more, which is played once more."""
        offset = (packet.seq - (flow.start or 0)) & 0xFFFFFFFF
        if offset >= len(flow.said) or flow.ask is None:
            self._answer(number, mark, ACCEPT)
            return
        flow.repeats += 1
        if flow.repeats >= REPEATED and not flow.heard:
            self._sign(flow, "silent")
        strategy = self._choose(flow.ask, now)
        if strategy is None:
            self._answer(number, mark, DROP)
        elif flow.played or strategy:
            self._answer(number, mark, DROP)
            self._play(flow, strategy)
        else:
            self._answer(number, mark, ACCEPT)

    def _strategy(self, flow: Flow, mark: int, now: float) -> Strategy | None:
        if flow.ask is None:
            return ()
        flow.ask = Ask(flow.ask.kind, flow.ask.host, flow.ask.address, mark & TRIAL_MASK)
        return self._choose(flow.ask, now)

    def _play(self, flow: Flow, strategy: Strategy) -> None:
        assert flow.first is not None
        flow.played = True
        whole = Flight(flow.first, flow.start or 0, flow.said, flow.size)
        self.packets += play(strategy, whole, Path(flow.hops))

    # -- datagrams ------------------------------------------------------------------------------------------------

    def _datagram(self, key: Key, flow: Flow, number: int, mark: int, packet: Packet, now: float) -> None:
        if flow.settled or packet.dport != 443 or not quic.is_initial(packet.payload):
            self._behind_initials(flow, packet, now)
            self._answer(number, mark, ACCEPT)
            return
        if not flow.held:
            flow.at = now
            self._waiting[key] = flow
        flow.held.append((number, mark))
        flow.datagrams.append(packet)
        name = quic.name([each.payload for each in flow.datagrams])
        flow.ask = Ask("quic", name or "", packet.dst)
        if name is not None or len(flow.held) >= MOST_HELD // 3:
            self._settle(key, flow, now, mark)

    def _behind_initials(self, flow: Flow, packet: Packet, now: float) -> None:
        """What servers say of QUIC is not seen here: a client that says something else than Initials was answered."""
        if flow.ask is None or flow.heard or not flow.settled:
            return
        if not quic.is_initial(packet.payload):
            flow.heard, self._alive = True, now
            self.signs.append(("heard", flow.ask))
        elif now - flow.at >= ANSWERED and self._alive > flow.at:
            self._sign(flow, "silent")

    def _settle_datagrams(self, flow: Flow, mark: int, now: float) -> None:
        if not (strategy := self._strategy(flow, mark, now)):
            self._give(flow, ACCEPT)
            return
        self._give(flow, DROP)
        for packet in flow.datagrams:
            self.packets += play_datagrams(strategy, packet, Path(flow.hops))

    # -- the server -----------------------------------------------------------------------------------------------

    def _answered(self, flow: Flow, packet: Packet, local: bool, now: float) -> None:
        if packet.proto != TCP:
            return
        flow.repeats = 0 if flow.stream is None else flow.repeats
        if packet.flags & RST:
            if flow.ask is not None and not (flow.heard or flow.closed):
                self._sign(flow, "reset")
        elif packet.flags & SYN:
            ttl = flow.far = packet.ttl + (not local)  # forwarded, it has lost one here
            flow.hops = next((b for b in reversed(BEGINNINGS) if b >= ttl), 255) - ttl
        elif packet.payload and flow.settled and flow.ask is not None:
            self._alive = now
            self._words(flow, flow.ask, packet, packet.ttl + (not local))

    def _words(self, flow: Flow, ask: Ask, packet: Packet, ttl: int) -> None:
        """The server's: the first are a good sign; said four times over, our acknowledgements do not get there."""
        flow.again = flow.again + 1 if packet.seq == flow.last else 0
        flow.last = packet.seq
        if flow.again > REPEATED:
            self._sign(flow, "stalled")
        if flow.heard:
            return
        flow.heard = True
        if ask.kind == "http" and flow.far is not None and abs(ttl - flow.far) >= OTHERS:
            self._sign(flow, "forged")
        else:
            self.signs.append(("heard", ask))

    def _sign(self, flow: Flow, sign: Sign) -> None:
        if flow.ask is not None and not flow.told:
            flow.told = True
            self.signs.append((sign, flow.ask))

    def _give(self, flow: Flow, verdict: int) -> None:
        for number, mark in flow.held:
            self._answer(number, mark, verdict)
        flow.held.clear()

    def _answer(self, number: int, mark: int, verdict: int) -> None:
        self.verdicts.append((number, verdict, self._mark(mark)))


def _opens_anew(flow: Flow, packet: Packet) -> bool:
    """A SYN that is not the one of before, said again."""
    if packet.proto != TCP or packet.flags & (SYN | ACK) != SYN:
        return False
    return flow.start != (packet.seq + 1) & 0xFFFFFFFF or flow.stream is not None
