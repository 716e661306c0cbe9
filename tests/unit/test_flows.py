"""What a transport's connections received, look by look, and whether a censor may be at work."""

from collections.abc import Sequence

from routerd.flows import Flows, scan, stalled

EVERY = 0.7  # seconds


def ever_stalled(*connections: Sequence[int]) -> bool:
    """Each connection: what it has received in all, at each look; it is closed behind the last."""
    flows: Flows = {}
    found, now = False, 50.0
    for look in range(max(map(len, connections))):
        now += EVERY
        flows = scan(flows, [(key, sizes[look]) for key, sizes in enumerate(connections) if look < len(sizes)], now)
        found = found or stalled(flows, now)
    return found


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


def test_idle_connections_of_different_sizes_have_not() -> None:
    assert not ever_stalled(*([9_000 * (i + 1)] * 12 for i in range(6)))


def test_connections_that_were_only_opened_have_not() -> None:
    assert not ever_stalled(*([4_500] * 12 for _ in range(6)))


def test_where_nothing_is_faster_than_a_crawl_they_have_stalled() -> None:
    assert ever_stalled(*(flow(2_000, 6) for _ in range(3)))


def test_slow_ones_beside_a_fast_one_have_not() -> None:
    assert not ever_stalled(*(flow(2_000, 9) for _ in range(3)), flow(60_000, 9))
