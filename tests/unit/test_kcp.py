"""The lab's KCP (tests/lab/kcp.py): what it carries arrives whole and in its order, whatever is lost on the way."""

import random

from tests.lab.kcp import AGAIN, PACKET, Kcp


def carried(data: bytes, loss: float, seed: int = 7) -> tuple[bytes, int]:
    """What arrives, and after how many rounds; each round a second."""
    chance = random.Random(seed)
    here, there, found = Kcp(5), Kcp(5), bytearray()
    here.unsent += data
    for turn in range(1, 500):
        for one, other in ((here, there), (there, here)):
            packets = [packet for packet in one.packets(float(turn)) if chance.random() >= loss]
            chance.shuffle(packets)
            assert all(len(packet) <= PACKET for packet in packets)
            found += b"".join(other.take(packet) for packet in packets)
        if not here.unsent and not here.sent:
            return bytes(found), turn
    raise AssertionError("it never ended")


def test_on_a_good_way_everything_arrives_as_fast_as_the_window_lets_it() -> None:
    data = bytes(range(256)) * 4000
    found, turns = carried(data, 0.0)
    assert found == data
    assert turns <= 10


def test_what_is_lost_is_sent_again_and_nothing_arrives_twice() -> None:
    data = random.Random(1).randbytes(300_000)
    found, turns = carried(data, 0.3)
    assert found == data
    assert turns > AGAIN
