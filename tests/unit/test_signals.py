"""What the kernel counts, look by look, and what is read out of it."""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given, settings as hypothesis_settings, strategies as st

from routerd.model import Sample, Sign
from routerd.signals import BEFORE, HELD, QUIET, TRICKLE, begin, look

EVERY = 0.15  # seconds from look to look


def signs(deltas: Iterable[Sample], patience: float = 0.05) -> list[Sign | None]:
    """The sign of each look, where the counters have grown by these and the backlog is this."""
    total, now = Sample(), 100.0
    watch, found = begin(total, now), []
    for delta in deltas:
        now += EVERY
        grown = {name: getattr(total, name) + getattr(delta, name) for name in Sample.__slots__}
        total = replace(Sample(**grown), backlog=delta.backlog)
        watch, sign = look(watch, total, now, patience)
        found.append(sign)
    return found


BUSY = Sample(entered=20, out=20, up=2000, back=20, down=20_000)
NOTHING = Sample()
SILENT = Sample(entered=20, out=10, up=600)


def test_traffic_that_is_answered_is_no_sign() -> None:
    assert signs([BUSY] * 100) == [None] * 100


def test_a_household_that_does_nothing_is_no_sign() -> None:
    assert signs([NOTHING] * 100) == [None] * 100


def test_packets_out_and_none_back_are_silence_within_half_a_second() -> None:
    found = signs([BUSY] * 5 + [SILENT] * 4)
    assert found[:6] == [None] * 6
    assert found[-1] == "silent"


def test_silence_is_waited_for_as_long_as_good_answers_take() -> None:
    assert signs([SILENT] * 8, patience=2.0) == [None] * 8
    assert signs([SILENT] * 20, patience=2.0)[-1] == "silent"


def test_a_single_packet_without_an_answer_is_a_keep_alive() -> None:
    assert signs([Sample(out=1, up=32)] + [NOTHING] * 60) == [None] * 61


def test_a_last_acknowledgement_is_no_silence() -> None:
    assert signs([BUSY] * 5 + [Sample(out=3, up=156)] + [NOTHING] * 20) == [None] * 26


def test_silence_ends_with_the_first_packet_back() -> None:
    found = signs([SILENT] * 3 + [replace(SILENT, back=1)] + [SILENT] * 2)
    assert found[-2:] == [None, None]


def test_packets_in_and_none_out_are_a_hung_engine() -> None:
    assert signs([BUSY] * 3 + [Sample(entered=4)] * 5)[-1] == "hung"


def test_connections_that_wait_for_the_engine_are_a_hung_engine_however_much_flows() -> None:
    looks = int(HELD / EVERY) + 2
    assert signs([replace(BUSY, backlog=3)] * looks)[-1] == "hung"
    assert "hung" not in signs([replace(BUSY, backlog=3), BUSY] * looks)


def test_an_engine_that_takes_some_while_others_wait_is_only_busy() -> None:
    assert "hung" not in signs([replace(BUSY, backlog=3), replace(BUSY, backlog=1)] * 10)


def test_a_reset_of_a_connection_that_had_hardly_begun_is_a_refusal() -> None:
    assert signs([BUSY] * 3 + [replace(BUSY, resets=1), BUSY]) == [None] * 3 + ["refused", None]


def test_a_steady_flow_that_breaks_has_stalled() -> None:
    trickle = Sample(entered=3, out=3, back=3, down=200)
    found = signs([BUSY] * int((BEFORE + 1) / EVERY) + [trickle] * int((TRICKLE + 0.3) / EVERY))
    assert found[-1] == "stalled"


def test_a_small_flow_that_ends_has_not() -> None:
    small = Sample(entered=1, out=1, back=1, down=300)
    assert signs([small] * 60 + [NOTHING] * 30) == [None] * 90


def test_counters_that_begin_anew_are_no_sign() -> None:
    watch = begin(Sample(entered=500, out=500, back=500), 0.0)
    assert look(watch, Sample(entered=4, out=3), QUIET * 2, 0.0)[1] is None


samples = st.builds(
    Sample, *(st.integers(0, 50) for _ in range(6)), st.integers(0, 2)
)


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.lists(samples, max_size=40))
def test_where_every_look_hears_the_server_there_is_no_silence(deltas: list[Sample]) -> None:
    assert "silent" not in signs([replace(delta, back=delta.back + 1) for delta in deltas])
