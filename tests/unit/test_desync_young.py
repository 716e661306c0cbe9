"""Which flow a packet belongs to, and how long one is waited for and remembered. Here is also how the eye is talked to."""

from __future__ import annotations

from dataclasses import replace

from routerd.desync.grammar import parse
from routerd.desync.outcome import ACCEPT, DROP
from routerd.desync.packet import ACK, PSH, SYN, TCP, UDP, Packet
from routerd.desync.quic import initial
from routerd.desync.steps import Strategy
from routerd.desync.young import Young
from routerd.model import TRIAL_PLAIN
from tests.unit.test_desync_packet import ENDS4, real_hello

CLIENT, SERVER = 1_000_000, 5_000_000  # their first sequence numbers
REQUEST = b"GET /a HTTP/1.1\r\nHost: www.blocked.example\r\nAccept: */*\r\n\r\n"


def young(strategy: Strategy = ()) -> Young:
    return Young(lambda _ask, _now: strategy, lambda mark: mark)


def conversation(eye: Young, *packets: tuple[float, Packet]) -> list[str]:
    for number, (now, packet) in enumerate(packets):
        eye.take(number, 0, packet, True, now)
    return [sign for sign, _ in eye.signs]


UP = Packet(*ENDS4, TCP, 50000, 443, b"", CLIENT, 0, SYN, 65535)
HELLO = Packet(*ENDS4, TCP, 50000, 443, real_hello("www.blocked.example"), CLIENT + 1, SERVER + 1, ACK | PSH, 65535)
DOWN = Packet(ENDS4[1], ENDS4[0], TCP, 443, 50000, b"", SERVER + 1, CLIENT + 1, ACK, 65535, 60)


def test_what_nobody_can_read_is_dropped() -> None:
    eye = young()
    eye.take(1, 0, None, False, 0.0)
    assert eye.verdicts == [(1, DROP, 0)]


def test_quic_and_tcp_between_the_same_ports_are_two_flows() -> None:
    """Half a hello waits; what is said by the other protocol from the same port neither ends nor answers it."""
    eye = young()
    datagram = Packet(*ENDS4, UDP, HELLO.sport, 443, initial(b"a", b"www.blocked.example"))
    conversation(eye, (0, UP), (0.1, replace(HELLO, payload=HELLO.payload[:100])), (0.1, datagram))
    assert eye.holds() and [number for number, _, _ in eye.verdicts] == [0, 2]
    assert not eye.packets


def test_a_search_is_asked_about_by_its_own_mark_also_where_a_hello_is_let_go_of_in_time() -> None:
    half = initial(b"a", b"www.blocked.example")[:-40]
    for packets in ([UP, replace(HELLO, payload=HELLO.payload[:100])], [Packet(*ENDS4, UDP, 50001, 443, half)]):
        asked: list[int] = []
        eye = Young(lambda ask, _now, asked=asked: asked.append(ask.trial) or (), lambda mark: mark)
        for number, packet in enumerate(packets):
            eye.take(number, TRIAL_PLAIN, packet, True, 0.1)
        eye.due(0.5)
        assert asked == [TRIAL_PLAIN]


def test_a_hello_that_never_becomes_whole_is_let_go_of_in_time() -> None:
    eye = young()
    conversation(eye, (0, UP), (0.1, replace(HELLO, payload=HELLO.payload[:100])))
    assert eye.holds() and len(eye.verdicts) == 1
    eye.due(0.2)
    assert eye.holds()
    eye.due(0.4)
    assert not eye.holds() and [verdict for _, verdict, _ in eye.verdicts] == [ACCEPT, ACCEPT]


def test_half_a_hello_of_a_connection_that_begins_anew_is_dropped() -> None:
    eye = young()
    conversation(eye, (0, UP), (0.1, replace(HELLO, payload=HELLO.payload[:100])), (0.2, replace(UP, seq=7)))
    assert [verdict for _, verdict, _ in eye.verdicts] == [ACCEPT, DROP, ACCEPT]


def test_memory_is_bounded_however_many_flows_there_are() -> None:
    eye = young()
    for number in range(6000):
        port, half = 1024 + number, replace(HELLO, sport=1024 + number, payload=HELLO.payload[:50])
        eye.take(2 * number, 0, replace(UP, sport=port), True, 0.0)
        eye.take(2 * number + 1, 0, half, True, 0.0)
    assert len(eye._flows) <= 4096 and len(eye._waiting) <= 4096
    assert len(eye.verdicts) >= 6000 + 6000 - 4096, "those that are forgotten get their verdict first"


def test_what_old_flows_said_is_forgotten() -> None:
    eye = young()
    for number in range(10):
        conversation(eye, (0, replace(UP, sport=2000 + number)), (0.1, replace(HELLO, sport=2000 + number)))
    for number in range(10):
        eye.take(9, 0, replace(UP, sport=3000 + number), True, 200.0)
    assert len(eye._flows) == 10


def test_other_traffic_is_let_go_as_it_is() -> None:
    eye = young(parse("split(1)"))
    conversation(eye, (0, UP), (0.1, replace(HELLO, payload=b"SSH-2.0-x\r\n")), (0.2, Packet(*ENDS4, UDP, 5, 443, b"\x40stun")))
    assert [verdict for _, verdict, _ in eye.verdicts] == [ACCEPT] * 3
