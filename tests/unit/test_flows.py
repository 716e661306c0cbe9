"""What a transport's connections received, look by look, and whether a censor may be at work."""

from collections.abc import Callable, Sequence

from routerd.flows import QUIET, Flows, mute, scan, stalled
from routerd.probe.vigil import FLOWS_EVERY, IDLE, LINGER

EVERY = 0.7  # seconds


def ever_stalled(
    *connections: Sequence[int], judge: Callable[[Flows, float], bool] = stalled, begun: int = 0
) -> bool:
    """Each connection: what it has received in all, at each look; it is closed behind the last.

    All but the first are opened `begun` looks later.
    """
    flows: Flows = {}
    found, now = False, 50.0
    delayed = [[None] * begun * (key > 0) + [*sizes] for key, sizes in enumerate(connections)]
    for look in range(max(map(len, delayed))):
        now += EVERY
        seen = [(key, sizes[look]) for key, sizes in enumerate(delayed) if look < len(sizes)]
        flows = scan(flows, [(key, size) for key, size in seen if size is not None], now)
        found = found or judge(flows, now)
    return found


def ever_mute(*connections: Sequence[int], begun: int = 0) -> bool:
    return ever_stalled(*connections, judge=mute, begun=begun)


def flow(rate: int, looks: int, quiet: int = 0, start: int = 0) -> list[int]:
    """Bytes per second for so many looks, then nothing."""
    sizes = [start + int(rate * EVERY * look) for look in range(looks)]
    return sizes + [sizes[-1]] * quiet


def test_steady_flows_are_fine() -> None:
    assert not ever_stalled(flow(100_000, 30), flow(20_000, 30), flow(1_000_000, 30))


def test_flows_that_break_in_the_same_moment_have_stalled() -> None:
    assert ever_stalled(flow(100_000, 10, 4), flow(50_000, 10, 4))


def test_one_that_pauses_has_not() -> None:
    assert not ever_stalled(flow(100_000, 10, 9), flow(50_000, 19))


def test_flows_that_end_have_not() -> None:
    assert not ever_stalled(flow(100_000, 10), flow(50_000, 10), flow(50_000, 25))


def test_connections_that_stop_at_one_size_have_stalled() -> None:
    assert ever_stalled(*([16_000 + 50 * i] * 5 for i in range(6)))


def test_one_page_that_many_have_asked_for_has_not_while_something_larger_passes() -> None:
    pages = ([26_900 + i] * 9 for i in range(8))
    assert not ever_stalled(flow(17_000, 9, start=30_000), *pages)


def test_steady_ones_that_have_begun_together_have_not_between_two_parts() -> None:
    parts = [5_000, 17_000, 33_000, 33_000, 49_000, 62_000, 62_000, 78_000]
    assert not ever_stalled(*([size + i for size in parts] for i in range(6)))


def test_idle_connections_of_different_sizes_have_not() -> None:
    assert not ever_stalled(*([9_000 * (i + 1)] * 12 for i in range(6)))


def test_connections_that_were_only_opened_have_not() -> None:
    assert not ever_stalled(*([4_500] * 12 for _ in range(6)))


def test_where_nothing_is_faster_than_a_crawl_they_have_stalled() -> None:
    assert ever_stalled(*(flow(2_000, 6) for _ in range(3)))


def test_slow_ones_beside_a_fast_one_have_not() -> None:
    assert not ever_stalled(*(flow(2_000, 9) for _ in range(3)), flow(60_000, 9))


def test_where_new_ones_are_not_answered_any_more_they_are_mute_whatever_the_older_ones_do() -> None:
    assert ever_mute(*([0] * 4 for _ in range(3)))
    assert ever_mute(flow(100_000, 9, start=5_000), *([0] * 4 for _ in range(3)), begun=2)


def test_hosts_that_do_not_answer_beside_a_new_one_that_does_are_not() -> None:
    assert not ever_mute(*([0] * 9 for _ in range(6)), flow(2_000, 9))


def test_connections_that_get_their_answers_late_are_not() -> None:
    assert not ever_mute(*([0, 0, 500] for _ in range(6)))


def test_one_host_that_does_not_answer_is_not() -> None:
    assert not ever_mute([0] * 9, [0] * 9)


def test_where_everything_has_stopped_they_are_looked_at_until_it_shows() -> None:
    assert LINGER >= QUIET + 2 * (FLOWS_EVERY + IDLE)
