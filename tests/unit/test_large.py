"""When a large answer is taken for stuck."""

from routerd.probe.large import BEGINNING, CRAWL, ENOUGH, LATE, LOOKED_AT, STALLED, Got, Growth, unsure, verdict

ASKED = 100.0


def growth(latency: float, *parts: tuple[float, int]) -> Growth:
    """Seconds behind the question, and bytes that came then."""
    made = Growth(ASKED - 0.2, max(STALLED, LATE * latency))
    made.grown(0, ASKED)
    for at, size in parts:
        made.grown(size, ASKED + at)
    return made


def test_silence_behind_the_question_is_stuck() -> None:
    assert growth(0.05).stuck(ASKED + STALLED)
    assert not growth(0.05).stuck(ASKED + STALLED - 0.1)


def test_what_does_not_come_to_its_question_is_stuck_like_what_stops_behind_it() -> None:
    frozen = Growth(ASKED, STALLED)
    assert not frozen.stuck(ASKED + BEGINNING - 0.1)
    assert frozen.stuck(ASKED + BEGINNING)
    assert verdict([frozen.got(stuck=True)] * 2)[1] == "frozen after 0 KB"


def test_a_question_that_came_late_is_not_stuck_for_that() -> None:
    late = Growth(ASKED, STALLED)
    late.grown(0, ASKED + BEGINNING - 0.1)
    assert not late.stuck(ASKED + BEGINNING + STALLED - 0.2)


def test_where_small_answers_are_late_large_ones_may_be_late_too() -> None:
    late = growth(1.4)
    assert not late.stuck(ASKED + LATE * 1.3)
    assert late.stuck(ASKED + LATE * 1.45)


def test_however_late_they_are_nothing_at_all_is_stuck_in_time() -> None:
    assert growth(5.0).stuck(ASKED + LOOKED_AT)


def test_a_trickle_is_stuck_though_it_never_stops() -> None:
    trickle = growth(0.05, *((0.5 * step, CRAWL // 8) for step in range(7)))
    assert trickle.stuck(ASKED + LOOKED_AT)


def test_one_whole_answer_outweighs_one_that_is_stuck() -> None:
    rate, stuck = verdict([Got(ENOUGH, 1.0, stuck=False), Got(16_000, 0.5, stuck=True)])
    assert (rate, stuck) == (ENOUGH, "")
    assert verdict([Got(16_000, 0.5, stuck=True)] * 2)[1] == "frozen after 15 KB"
    assert verdict([Got(16_000, 0.5, stuck=True), None]) == (None, "")


def test_what_is_not_plain_is_looked_at_once_more() -> None:
    stuck, nothing, good = Got(16_000, 0.5, stuck=True), Got(0, 0.0, stuck=True), Got(ENOUGH, 1.0, stuck=False)
    assert unsure([stuck, None])
    assert unsure([nothing, nothing])
    assert not unsure([stuck, nothing])
    assert not unsure([good, nothing])
    assert not unsure([None, None])
