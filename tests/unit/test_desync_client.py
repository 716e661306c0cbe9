"""A client's first flight over TCP, and what its next packets say of it."""

from __future__ import annotations

from dataclasses import replace

from routerd.desync.flow import Ask
from routerd.desync.grammar import parse
from routerd.desync.outcome import ACCEPT, DROP
from routerd.desync.packet import ACK, FIN, RST
from routerd.desync.steps import Strategy
from routerd.desync.young import Young
from tests.unit.test_desync_young import CLIENT, DOWN, HELLO, UP, conversation, young


def test_a_connection_that_nobody_takes_is_told_apart() -> None:
    assert conversation(young(), (0, UP), (1, UP), (3, UP), (7, UP)) == ["unanswered"]


def test_a_hello_said_three_times_is_silence_and_told_once() -> None:
    assert conversation(young(), (0, UP), (0.1, HELLO), (0.4, HELLO), (0.9, HELLO), (2.0, HELLO)) == ["silent"]


def test_a_client_that_gives_up_after_seconds_says_that_it_was_slow() -> None:
    answered, up = replace(DOWN, payload=b"\x16"), replace(HELLO, payload=b"", flags=RST)
    assert conversation(young(), (0, UP), (0.1, HELLO), (0.2, answered), (5.0, up)) == ["heard", "slow"]
    assert conversation(young(), (0, UP), (0.1, HELLO), (0.2, answered), (1.0, up)) == ["heard"]


def test_a_clients_end_that_nobody_acknowledges_shows_a_flow_that_was_silenced() -> None:
    answered, ended = replace(DOWN, payload=b"\x16\x03\x03"), replace(HELLO, payload=b"", flags=FIN | ACK)
    begun = [(0, UP), (0.1, HELLO), (0.2, answered)]
    assert conversation(young(), *begun, (5.0, ended)) == ["heard"], "as each idle connection ends"
    assert conversation(young(), *begun, (5.0, ended), (5.2, ended), (5.6, ended)) == ["heard", "stalled"]


def test_what_was_replaced_is_replaced_again_when_it_is_repeated() -> None:
    eye = young(parse("split(1,midsld)"))
    conversation(eye, (0, UP), (0.1, HELLO), (0.4, HELLO))
    assert [verdict for _, verdict, _ in eye.verdicts] == [ACCEPT, DROP, DROP]
    assert len(eye.packets) == 6


def test_a_site_that_is_held_back_says_nothing_until_it_is_known_how() -> None:
    found: list[Strategy | None] = [None, None, parse("split(1,midsld)")]
    eye = Young(lambda _ask, _now: found.pop(0), lambda mark: mark)
    conversation(eye, (0, UP), (0.1, HELLO), (0.4, HELLO), (0.9, HELLO))
    assert [verdict for _, verdict, _ in eye.verdicts] == [ACCEPT, DROP, DROP, DROP]
    assert b"".join(packet.payload for packet in eye.packets) == HELLO.payload


def test_data_in_a_syn_is_not_let_out() -> None:
    eye = young()
    conversation(eye, (0, replace(UP, payload=HELLO.payload)))
    assert [verdict for _, verdict, _ in eye.verdicts] == [DROP]


def test_a_hello_whose_beginning_was_lost_is_not_let_out_without_it() -> None:
    """What lies behind the beginning may hold the name; the client says all of it again."""
    eye = young(parse("split(1,midsld)"))
    behind = replace(HELLO, seq=CLIENT + 1 + 100, payload=HELLO.payload[100:])
    conversation(eye, (0, UP), (0.1, behind))
    eye.due(0.5)
    assert [verdict for _, verdict, _ in eye.verdicts] == [ACCEPT, DROP]
    eye.take(9, 0, HELLO, True, 0.6)
    assert b"".join(packet.payload for packet in eye.packets) == HELLO.payload


def test_a_search_says_by_the_mark_which_strategy_it_tries() -> None:
    asked: list[Ask] = []

    def choose(ask: Ask, _now: float) -> Strategy:
        asked.append(ask)
        return ()

    eye = Young(choose, lambda mark: mark)
    eye.take(1, 0x75000007, UP, True, 0.0)
    eye.take(2, 0x75000007, HELLO, True, 0.1)
    assert [(ask.kind, ask.host, ask.trial) for ask in asked] == [("tls", "www.blocked.example", 7)]
