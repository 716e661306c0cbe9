"""What a censor makes of a packet: rules as data, bytes in, a decision out. No I/O; `now` is handed in.

Each rule keeps its own view of each flow, because what a DPI takes for the stream (which copies, which order, which
packets it throws away) is just what decides whether it can be misled.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from socket import AF_INET, AF_INET6, inet_ntop

from routerd.desync import quic

from . import packets
from .packets import ACK, SYN, Packet

SWALLOW = 0x200  # packet marks that the nft text of censor.py reads: the flow is dropped from now on,
SLOW = 0x1000000  # or policed to so many bytes/s as the lower bits say
REMEMBER_FLOWS, REMEMBER_BYTES, REMEMBER_DATAGRAMS = 5000, 32768, 8
WINDOW = 65535
NEVER_SENT = 1 << 24  # bytes acknowledged beyond what a server says while a flow is young
Key = tuple[bytes, bytes, int]


@dataclass(frozen=True, slots=True)
class Rule:
    """What it looks at, how well, and what it does then.

    `see`: sni, host, quic, dns or address. No names at all: any. `look`: packet (each by itself), first (the first
    one with data and no other), append (as they come, whatever their numbers), order (what is not the next byte is
    passed over), first_copy or last_copy (all are put together; this copy of a byte counts). `most`: packets with data
    after which it gives up. What it throws away as a server would: `checksum` (wrong ones), `md5` (signed ones),
    `window` (numbers far off, nothing acknowledged, or what was never sent). `exact`: `Host: name` byte by byte.

    `do`: reset (`to` both, client or server, so many `times`), drop (this packet), blackhole (the flow), throttle (the
    flow, to `rate` bytes/s), page (an HTTP answer with this status in the server's place), lie (`answers`).
    `after`: packets of the client that still pass. `residual`: seconds for which the pair of ends suffers the same.
    """

    see: str
    do: str
    names: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    look: str = "packet"
    most: int | None = None
    checksum: bool = False
    window: bool = False
    md5: bool = False
    exact: bool = False
    to: str = "both"
    times: int = 1
    rate: int = 0
    page: int = 200
    after: int = 0
    residual: float = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """`inject` goes out first; then the packet does, with this mark, unless it is dropped."""

    drop: bool = False
    mark: int = 0
    inject: tuple[Packet, ...] = ()


@dataclass(slots=True)
class Pieces:
    """Bytes by their place in the stream."""

    data: bytearray = field(default_factory=bytearray)
    have: bytearray = field(default_factory=bytearray)

    def put(self, at: int, payload: bytes, again: bool = False) -> None:
        """`again`: bytes that are there already are overwritten."""
        payload, at = payload[max(0, -at):], max(0, at)
        if at + len(payload) > REMEMBER_BYTES:
            return
        for part in (self.data, self.have):
            part.extend(bytes(max(0, at + len(payload) - len(part))))
        for place, byte in enumerate(payload, at):
            if again or not self.have[place]:
                self.data[place], self.have[place] = byte, 1

    def whole(self) -> bytes:
        """Everything that is there without a gap."""
        end = self.have.find(0)
        return bytes(self.data if end < 0 else self.data[:end])


@dataclass(slots=True)
class View:
    """What one rule saw of one direction of one flow. `start`: the first byte's number, where the SYN was seen."""

    start: int | None = None
    ack: int | None = None
    count: int = 0
    left: int | None = None
    pieces: Pieces = field(default_factory=Pieces)
    datagrams: list[bytes] = field(default_factory=list)

    def takes(self, rule: Rule, packet: Packet) -> bool:
        """Whether this packet counts for the rule."""
        if (rule.checksum and not packet.sound) or (rule.md5 and packets.signed(packet)):
            return False
        return not (rule.window and self._far_off(packet))

    def _far_off(self, packet: Packet) -> bool:
        if not packet.flags & ACK:
            return True
        never_sent = self.ack is not None and _distance(packet.ack, self.ack) > NEVER_SENT
        return never_sent or (self.start is not None and abs(_distance(packet.seq, self.start)) > WINDOW)

    def add(self, look: str, packet: Packet) -> bytes:
        """The stream as the rule knows it now."""
        self.count += 1
        at = _distance(packet.seq, self.start or 0)
        match look:
            case "first":
                return packet.payload if self.count == 1 else b""
            case "packet":
                return packet.payload
            case "append":
                self.pieces.put(len(self.pieces.data), packet.payload)
            case _ if self.start is None:  # older than the censor
                return packet.payload
            case "order":
                if at <= len(self.pieces.data):
                    self.pieces.put(at, packet.payload)
            case _:
                self.pieces.put(at, packet.payload, look == "last_copy")
        return self.pieces.whole()

    def add_datagram(self, look: str, payload: bytes) -> list[bytes]:
        self.count += 1
        self.datagrams = [*self.datagrams, payload][-REMEMBER_DATAGRAMS:]
        if look == "first" and self.count > 1:
            return []
        return [payload] if look in ("packet", "first") else self.datagrams


@dataclass(slots=True)
class Judge:
    """Rules, what they saw of the flows that pass, and whom they remember."""

    rules: tuple[Rule, ...] = ()
    views: dict[tuple[object, ...], View] = field(default_factory=dict)
    remembered: dict[Key, tuple[float, Rule]] = field(default_factory=dict)

    def set(self, rules: Iterable[Rule]) -> None:
        """From now on these; what rules that stay have seen stays too."""
        self.rules = tuple(rules)
        self.views = {key: view for key, view in self.views.items() if key[0] in self.rules}
        self.remembered = {key: kept for key, kept in self.remembered.items() if kept[1] in self.rules}

    def decide(self, packet: Packet, now: float) -> Decision:
        """About a packet from the side that opened the flow. Where several rules speak, the first counts."""
        seen = [rule for rule in self.rules if self._sees(rule, packet)]
        for rule in seen:
            if rule.residual:
                self.remembered[packet.ends] = now + rule.residual, rule
        if seen:
            return act(seen[0], packet)
        until, rule = self.remembered.get(packet.ends, (now, None))
        return _again(rule, packet) if rule and now < until else Decision()

    def _sees(self, rule: Rule, packet: Packet) -> bool:
        if rule.see == "address":
            return bool(_ends(packet) & set(rule.names)) and not packet.flags & SYN
        if rule.see == "dns":
            asked = packets.question(packet.payload) if packet.dport == 53 else None
            return packet.proto == packets.UDP and asked is not None and packets.below(asked[0], rule.names)
        if (packet.proto == packets.UDP) != (rule.see == "quic"):
            return False
        view = self._view(rule, packet)
        found = self._named(rule, view, packet)
        return _when(rule, view, found) if rule.after else found

    def _view(self, rule: Rule, packet: Packet) -> View:
        if len(self.views) > REMEMBER_FLOWS:
            self.views.clear()
        key = (rule, packet.flow)
        if packet.flags & SYN and (packet.sound or not rule.checksum):
            self.views[key] = View((packet.seq + 1) & 0xFFFFFFFF)
        return self.views.setdefault(key, View())

    def _named(self, rule: Rule, view: View, packet: Packet) -> bool:
        if packet.flags & SYN or (packet.proto == packets.TCP and not view.takes(rule, packet)):
            return False
        if view.ack is None and packet.flags & ACK:
            view.ack = packet.ack
        if not packet.payload or (rule.most is not None and view.count >= rule.most):
            return False
        if rule.see == "quic":
            return _quic(rule, view.add_datagram(rule.look, packet.payload))
        data = view.add(rule.look, packet)
        return _listed(rule, packets.sni(data) if rule.see == "sni" else packets.http_host(data, rule.exact))


def _listed(rule: Rule, name: str | None) -> bool:
    return name is not None and (not rule.names or packets.below(name, rule.names))


def _quic(rule: Rule, datagrams: list[bytes]) -> bool:
    if not rule.names:
        return any(map(quic.is_initial, datagrams))
    return bool(datagrams) and _listed(rule, quic.name(datagrams))


def _when(rule: Rule, view: View, found: bool) -> bool:
    """Counts down from what was found on; whether the time has come."""
    if view.left is None:
        view.left = rule.after if found else None
        return False
    view.left -= 1
    return view.left < 0


def _distance(to: int, start: int) -> int:
    return ((to - start + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def _ends(packet: Packet) -> set[str]:
    family = AF_INET if len(packet.src) == 4 else AF_INET6
    return {inet_ntop(family, packet.src), inet_ntop(family, packet.dst)}


def act(rule: Rule, packet: Packet) -> Decision:
    """What the rule does to a packet that shows what it looks for."""
    match rule.do:
        case "reset":
            return Decision(inject=_resets(rule, packet))
        case "drop":
            return Decision(drop=True)
        case "throttle":
            return Decision(mark=SLOW | rule.rate)
        case "page":
            page, reset = packets.page(packet, rule.page), packets.resets(packet)[1]
            return Decision(mark=SWALLOW, inject=(page, reset))
        case "lie":
            return Decision(inject=(packets.lie(packet, rule.answers),))
        case _:
            return Decision(mark=SWALLOW)


def _again(rule: Rule, packet: Packet) -> Decision:
    """Residual: resets come when the handshake is done, as from China's; silence begins with the SYN."""
    if rule.do == "reset":
        return Decision() if packet.flags & SYN else act(rule, packet)
    return Decision(mark=SWALLOW)


def _resets(rule: Rule, packet: Packet) -> tuple[Packet, ...]:
    to_client, to_server = packets.resets(packet)
    chosen = {"client": (to_client,), "server": (to_server,)}.get(rule.to, (to_client, to_server))
    return chosen * rule.times
