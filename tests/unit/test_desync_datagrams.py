"""A flow of QUIC, as far as it can be seen."""

from __future__ import annotations

from dataclasses import replace

from routerd.desync.flow import Ask
from routerd.desync.packet import UDP, Packet
from routerd.desync.quic import initial
from tests.unit.test_desync_packet import ENDS4
from tests.unit.test_desync_young import DOWN, HELLO, UP, conversation, young

INITIAL = Packet(*ENDS4, UDP, 60000, 443, initial(b"a", b"www.blocked.example"))
ELSEWHERE = ((0.2, UP), (0.3, HELLO), (0.4, replace(DOWN, payload=b"\x16")))


def test_an_initial_said_again_a_second_later_is_silence_if_others_are_answered_and_told_once() -> None:
    again = ((0.6, INITIAL), (1.2, INITIAL), (2.4, INITIAL))
    assert conversation(young(), (0, INITIAL), *ELSEWHERE, *again) == ["heard", "silent"]
    assert conversation(young(), (0, INITIAL), *again) == [], "it may be the line"
    assert conversation(young(), (0, INITIAL), *ELSEWHERE, (0.6, INITIAL)) == ["heard"], "a lost packet is none"
    assert conversation(young(), *ELSEWHERE, (0.5, INITIAL), (1.6, INITIAL)) == ["heard"], "the line was up before"


def test_a_client_of_quic_that_goes_on_was_answered() -> None:
    more, eye = replace(INITIAL, payload=b"\x4f" + bytes(60)), young()
    assert conversation(eye, (0, INITIAL), *ELSEWHERE, (0.5, more), (3, INITIAL)) == ["heard", "heard"]
    assert eye.signs[-1][1] == Ask("quic", "www.blocked.example", INITIAL.dst)
