"""One end of a KCP conversation as snowflake has it: a stream of bytes, no congestion window, no FEC. No I/O, no clock.

Source: skywind3000/kcp, ikcp.c. The packets travel in a reliable channel, so one is lost only when a volunteer leaves.
"""

import struct
from dataclasses import dataclass, field

HEADER = struct.Struct("<IBBHIIII")  # conversation, command, fragment, window, time stamp, number, all before it, length
PUSH, ACK = 81, 82
PACKET = 1400
PIECE = PACKET - HEADER.size
ROOM = 65535  # segments that we take at once: snowflake's window
MOST = 256  # segments on their way
AGAIN = 2.0  # seconds without an answer, after which a segment is sent again


@dataclass(slots=True)
class Kcp:
    """`unsent`: what waits for a place on the way. `sent`: by number, each segment and when it went."""

    conversation: int
    unsent: bytearray = field(default_factory=bytearray)
    sent: dict[int, tuple[bytes, float]] = field(default_factory=dict)
    got: dict[int, bytes] = field(default_factory=dict)
    acks: list[tuple[int, int]] = field(default_factory=list)
    next_out: int = 0
    next_in: int = 0
    window: int = 32

    def take(self, packet: bytes) -> bytes:
        """What can be read now, in its order."""
        at = 0
        while at + HEADER.size <= len(packet):
            _, command, _, self.window, stamp, number, before, length = HEADER.unpack_from(packet, at)
            data = packet[at + HEADER.size : at + HEADER.size + length]
            at += HEADER.size + length
            for old in [each for each in self.sent if each < before or (command == ACK and each == number)]:
                del self.sent[old]
            if command == PUSH and number < self.next_in + ROOM:
                self.acks.append((number, stamp))
                if number >= self.next_in:
                    self.got[number] = data
        return self._in_order()

    def _in_order(self) -> bytes:
        found = bytearray()
        while self.next_in in self.got:
            found += self.got.pop(self.next_in)
            self.next_in += 1
        return bytes(found)

    def packets(self, now: float) -> list[bytes]:
        """What to send now: what is to be confirmed, what was not confirmed, what is new."""
        out = [self._segment(ACK, stamp, number, b"") for number, stamp in self.acks]
        self.acks.clear()
        for number, (data, _) in [(n, one) for n, one in self.sent.items() if now - one[1] > AGAIN]:
            out.append(self._push(number, data, now))
        while self.unsent and len(self.sent) < min(self.window, MOST):
            data = bytes(self.unsent[:PIECE])
            del self.unsent[:PIECE]
            out.append(self._push(self.next_out, data, now))
            self.next_out += 1
        return _packed(out)

    def _push(self, number: int, data: bytes, now: float) -> bytes:
        self.sent[number] = (data, now)
        return self._segment(PUSH, int(now * 1000) & 0xFFFFFFFF, number, data)

    def _segment(self, command: int, stamp: int, number: int, data: bytes) -> bytes:
        return HEADER.pack(self.conversation, command, 0, ROOM, stamp, number, self.next_in, len(data)) + data


def conversation(packet: bytes) -> int:
    """Whose it is."""
    return int(HEADER.unpack_from(packet)[0])


def _packed(segments: list[bytes]) -> list[bytes]:
    """Several small ones share a packet."""
    packets = [bytearray()]
    for segment in segments:
        if len(packets[-1]) + len(segment) > PACKET:
            packets.append(bytearray())
        packets[-1] += segment
    return [bytes(packet) for packet in packets if packet]
