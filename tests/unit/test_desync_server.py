"""What a server's packets say of a flow."""

from __future__ import annotations

from dataclasses import replace

from routerd.desync.packet import ACK, FIN, RST, SYN
from tests.unit.test_desync_young import DOWN, HELLO, REQUEST, SERVER, UP, conversation, young


def test_a_reset_before_the_server_has_said_a_word_is_a_sign() -> None:
    assert conversation(young(), (0, UP), (0.1, HELLO), (0.2, replace(DOWN, flags=RST | ACK))) == ["reset"]


def test_an_answer_is_a_good_sign_and_a_reset_behind_it_is_none() -> None:
    answered = replace(DOWN, payload=b"\x16\x03\x03")
    assert conversation(young(), (0, UP), (0.1, HELLO), (0.2, answered), (0.3, replace(DOWN, flags=RST))) == ["heard"]


def test_what_is_reset_behind_a_clients_own_end_is_the_servers_affair() -> None:
    ended = replace(HELLO, payload=b"", flags=FIN | ACK)
    assert conversation(young(), (0, UP), (0.1, HELLO), (0.2, ended), (0.3, replace(DOWN, flags=RST))) == []


def test_a_server_that_says_the_same_four_times_does_not_hear_us() -> None:
    answered = replace(DOWN, payload=b"\x16\x03\x03")
    times = [(0.2 * number, answered) for number in range(1, 5)]
    assert conversation(young(), (0, UP), (0.1, HELLO), *times) == ["heard", "stalled"]


def test_a_page_from_another_distance_than_the_connection_is_forged() -> None:
    first, up = replace(DOWN, flags=SYN | ACK, seq=SERVER), replace(HELLO, payload=REQUEST)
    page = replace(DOWN, payload=b"HTTP/1.1 200 OK")
    assert conversation(young(), (0, UP), (0, first), (0.1, up), (0.2, page)) == ["heard"]
    assert conversation(young(), (0, UP), (0, first), (0.1, up), (0.2, replace(page, ttl=63))) == ["forged"]
