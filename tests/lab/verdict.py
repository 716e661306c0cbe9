"""From captured frames to leaks; pure. Reads a classic pcap file of Ethernet frames."""

import base64
import ipaddress
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

IPV4, IPV6, ARP = b"\x08\x00", b"\x86\xdd", b"\x08\x06"
PROTO = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmpv6", 2: "igmp"}
# Multicast listener queries and reports, neighbour and router discovery.
HOUSEKEEPING6 = frozenset((130, 131, 132, 143, *range(133, 138)))
EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Allowed:
    """Frames to this address, protocol (tcp, udp, icmp, icmpv6) and port; None means any."""

    address: str | None
    proto: str
    port: int | None = None


DHCP = Allowed(None, "udp", 67)
DHCP6 = Allowed(None, "udp", 547)  # for runs in which the router may ask for IPv6 by DHCP


@dataclass(frozen=True, slots=True)
class Flow:
    """What a frame is, for judging. `port` is the destination's, or the ICMP type; `source` the source port."""

    proto: str
    family: int
    src: str
    dst: str
    port: int = 0
    source: int = 0

    @property
    def kind(self) -> str:
        return "dns" if self.proto in ("tcp", "udp") and self.port == 53 else self.proto


@dataclass(slots=True)
class Leak:
    """All frames of one kind between two addresses; times are seconds since the first frame of the capture."""

    kind: str
    family: int
    src: str
    dst: str
    port: int
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    examples: list[bytes] = field(default_factory=list)

    def __str__(self) -> str:
        return (f"{self.kind} {self.src} -> {self.dst} port/type {self.port}: {self.count} frames, "
                f"{self.first:.3f} s to {self.last:.3f} s, first: {self.examples[0][14:94].hex()}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`leaks` are what the router should not have sent (kind `canary`: what nobody should have)."""

    frames: int
    router_frames: int
    leaks: list[Leak]

    @property
    def clean(self) -> bool:
        return not self.leaks

    @property
    def kinds(self) -> set[str]:
        """tcp, udp, icmp, dns, icmpv6, ..., canary; and ipv6 where any leak was IPv6."""
        return {leak.kind for leak in self.leaks} | {"ipv6" for leak in self.leaks if leak.family == 6}

    def __str__(self) -> str:
        head = f"{self.frames} frames, {self.router_frames} from the router, {len(self.leaks)} leaks"
        return "\n  ".join([head, *map(str, self.leaks)])


def frames(data: bytes) -> Iterator[tuple[float, bytes]]:
    """Time and bytes of each whole frame."""
    at, end = 24, len(data)
    while at + 16 <= end:
        seconds, micros, size = struct.unpack_from("<III", data, at)
        yield seconds + micros / 1e6, data[at + 16:at + 16 + size]
        at += 16 + size


def flow_of(frame: bytes) -> Flow:
    """Never fails: what cannot be read is a flow of kind `other`."""
    ethertype = frame[12:14]
    try:
        if ethertype == IPV4:
            return _ip(frame, 4, frame[23], 14 + (frame[14] & 15) * 4, frame[26:30], frame[30:34])
        if ethertype == IPV6:
            proto, at = frame[20], 54
            while proto in (0, 43, 60):
                proto, at = frame[at], at + 8 + frame[at + 1] * 8
            return _ip(frame, 6, proto, at, frame[22:38], frame[38:54])
    except (IndexError, struct.error):
        pass
    return Flow("arp" if ethertype == ARP else f"other-{ethertype.hex()}", 0, frame[6:12].hex(":"), frame[:6].hex(":"))


def _ip(frame: bytes, family: int, number: int, at: int, src: bytes, dst: bytes) -> Flow:
    ends = str(ipaddress.ip_address(src)), str(ipaddress.ip_address(dst))
    proto = PROTO.get(number, f"proto-{number}")
    if (family == 4 and int.from_bytes(frame[20:22]) & 0x1FFF) or number == 44:
        return Flow("fragment", family, *ends)
    if proto in ("tcp", "udp"):
        source, port = struct.unpack_from("!HH", frame, at)
        return Flow(proto, family, *ends, port, source)
    return Flow(proto, family, *ends, frame[at] if proto.startswith("icmp") else 0)


def judge(data: bytes, router: bytes, allowed: Iterable[Allowed], tokens: Sequence[str]) -> Verdict:
    """`router` is the MAC address of its WAN port."""
    permits = frozenset(allowed) | {DHCP}
    known: dict[bytes, Flow | None] = {}
    leaks: dict[tuple[str, str, str, int], Leak] = {}
    total = sent = 0
    start = 0.0
    lower = data.lower()
    needles = [needle for token in tokens for needle in needles_of(token) if needle in lower]
    for when, frame in frames(data):
        total += 1
        start = start or when
        if any(needle in frame.lower() for needle in needles):
            _note(leaks, _canary(flow_of(frame)), when - start, frame)
        if frame[6:12] == router:
            sent += 1
            key = _key(frame)
            if key not in known:
                flow = flow_of(frame)
                known[key] = None if permitted(flow, permits) else flow
            if found := known[key]:
                _note(leaks, found, when - start, frame)
    return Verdict(total, sent, list(leaks.values()))


def clear_times(data: bytes, router: bytes, allowed: Iterable[Allowed], tokens: Sequence[str]) -> list[float]:
    """The Unix times at which the router sent what `judge` would call a leak, for runs in which the owner said direct."""
    permits = frozenset(allowed) | {DHCP}
    needles = [needle for token in tokens for needle in needles_of(token)]
    return [when for when, frame in frames(data) if frame[6:12] == router and (
        not permitted(flow_of(frame), permits) or any(needle in frame.lower() for needle in needles))]


def sent(data: bytes, router: bytes, address: str) -> list[tuple[float, Flow]]:
    """What the router sent to this address, and when (Unix times)."""
    raw = ipaddress.ip_address(address).packed
    mine = ((when, flow_of(frame)) for when, frame in frames(data) if frame[6:12] == router and raw in frame[26:54])
    return [(when, flow) for when, flow in mine if flow.dst == address]


def openings(frames_sent: Iterable[tuple[float, Flow]]) -> list[float]:
    """When the flows among these began: the first frame of each source port."""
    first: dict[tuple[str, int], float] = {}
    for when, flow in frames_sent:
        first.setdefault((flow.proto, flow.source), when)
    return sorted(first.values())


def _key(frame: bytes) -> bytes:
    """All the bytes that judging looks at; the whole frame where headers are not of the plain length."""
    if frame[12:15] == IPV4 + b"\x45":
        return frame[12:14] + frame[20:22] + frame[23:24] + frame[26:38]
    if frame[12:14] == IPV6 and frame[20:21] in (b"\x06", b"\x11"):
        return frame[12:14] + frame[20:21] + frame[22:58]
    return frame


def _canary(flow: Flow) -> Flow:
    return Flow("canary", flow.family, flow.src, flow.dst, 0, flow.source)


def _note(leaks: dict[tuple[str, str, str, int], Leak], flow: Flow, when: float, frame: bytes) -> None:
    key = (flow.kind, flow.src, flow.dst, flow.port)
    leak = leaks.setdefault(key, Leak(flow.kind, flow.family, flow.src, flow.dst, flow.port, first=when))
    leak.count += 1
    leak.last = when
    if len(leak.examples) < EXAMPLES:
        leak.examples.append(frame)


def permitted(flow: Flow, permits: frozenset[Allowed]) -> bool:
    """Housekeeping of the link itself, or on the list."""
    if flow.proto == "arp" or (flow.proto == "icmpv6" and flow.port in HOUSEKEEPING6):
        return True
    if (flow.port == 67 and flow.source != 68) or (flow.port == 547 and flow.source != 546):
        return False
    # A later fragment has no ports: the address decides.
    if flow.proto == "fragment":
        return any(one.address == flow.dst and one.proto in ("tcp", "udp") for one in permits)
    forms = [Allowed(address, flow.proto, port) for address in (flow.dst, None) for port in (flow.port, None)]
    return any(form in permits for form in forms)


def needles_of(token: str) -> set[bytes]:
    """The token as it may lie on the wire, lower case: plain, as hex, and inside base64 at each alignment."""
    raw = token.lower().encode()
    found = {raw, raw.hex().encode()}
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw)
        # The outer characters depend on neighbours too.
        found.add(text[4 if shift else 0:len(text) // 4 * 4 - 4].lower())
    return found
