"""The bench of desync: a target that is missed is said, and only ours has targets of its own."""

from __future__ import annotations

import pytest

from bench.desync import Measured, rows
from bench.hellos import NAME, hello, whole


def good(factor: float = 1.0) -> Measured:
    """`factor`: how many times slower and dearer than it might be."""
    return Measured(
        down=[900 / factor], up=[900 / factor], half=[0.5 * factor], worst=[1.0 * factor], rate=[4000 / factor],
        cpu=[200 * factor], split=[1 / factor], memory=20 * factor,
    )  # fmt: skip


def test_a_hello_is_one_whole_record_with_the_name_in_it() -> None:
    first = hello()
    assert whole(first)
    assert NAME.encode() in first
    assert not any(whole(first[:size]) for size in range(len(first)))


def test_what_is_as_good_as_plain_forwarding_meets_every_target() -> None:
    found = list(rows(good(), good(), good()))
    assert not [row.what for row in found if row.missed]
    assert sum(1 for row in found if row.target) == 10


def test_what_is_four_times_worse_misses_every_target_but_that_of_delay() -> None:
    found = [row for row in rows(good(), good(4), good()) if row.target]
    met = [row.what.strip() for row in found if not row.missed]
    assert met == ["first answer of a new connection, added: ours, p99", "of them with the hello in pieces: nfqws"]


@pytest.mark.parametrize(("half", "worst", "missed"), [(1.4, 5.9, 0), (1.6, 5.9, 1), (1.4, 6.1, 1)])
def test_the_delay_that_is_added_may_be_a_millisecond_and_five_in_the_worst_case(
    half: float, worst: float, missed: int
) -> None:
    way = good()
    way.half, way.worst = [half], [worst]
    assert sum(row.missed for row in rows(good(), way, None)) == missed


def test_a_worker_that_lets_hellos_pass_whole_under_load_is_told() -> None:
    way = good()
    way.split = [0.9]
    assert ["hello in pieces" in row.what for row in rows(good(), way, None) if row.missed] == [True]


def test_of_nfqws_nothing_is_asked_but_that_it_does_the_same() -> None:
    assert [row.target for row in rows(good(), None, good(4)) if row.target] == [">= 0.99"]
