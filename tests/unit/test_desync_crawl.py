"""A search, try by try."""

from routerd.desync.crawl import Crawl, Try, ordered

HERE, THERE = "198.51.100.10", "2001:db8::10"


def test_the_plain_page_is_asked_for_where_it_failed_and_strategies_elsewhere() -> None:
    crawl = Crawl([1, 2], [HERE, THERE])
    assert crawl.plain() == Try(0, HERE)
    assert crawl.next() == Try(1, THERE)


def test_one_address_alone_has_to_do() -> None:
    crawl = Crawl([1], [HERE])
    assert crawl.next() == Try(1, HERE)
    assert crawl.next() is None


def test_a_strategy_is_believed_once_it_has_worked_twice() -> None:
    crawl = Crawl([1, 2, 3], [HERE])
    first, second = crawl.next(), crawl.next()
    assert first and second
    assert crawl.ended(second, "good") is None
    assert (again := crawl.next()) == Try(2, HERE)
    assert again
    assert crawl.next() is None, "nothing new is begun while one is on trial"
    assert crawl.ended(first, "bad") is None
    assert crawl.ended(crawl.plain(), "bad") is None
    assert crawl.ended(again, "good") == 2


def test_what_works_is_of_no_use_where_the_plain_page_comes_too() -> None:
    """A site that works plain is never touched."""
    crawl = Crawl([1, 2], [HERE])
    first = crawl.next()
    assert first
    crawl.ended(first, "good")
    again = crawl.next()
    assert again
    assert crawl.ended(again, "good") is None
    assert crawl.next() is None, "one is enough"
    assert crawl.ended(crawl.plain(), "good") is None, "twice, as any other"
    assert crawl.ended(crawl.plain(), "good") == 0


def test_the_plain_pages_failure_comes_last_and_ends_it() -> None:
    crawl = Crawl([1], [HERE])
    crawl.ended(Try(1, HERE), "good")
    crawl.ended(Try(1, HERE), "good")
    assert crawl.ended(crawl.plain(), "bad") == 1


def test_one_that_worked_once_by_chance_is_left_and_the_rest_are_tried() -> None:
    crawl = Crawl([1, 2], [HERE])
    first = crawl.next()
    assert first
    crawl.ended(first, "good")
    again = crawl.next()
    assert again == first
    crawl.ended(again, "bad")
    assert crawl.next() == Try(2, HERE)
    crawl.ended(Try(2, HERE), "bad")
    assert crawl.next() is None


def test_an_address_that_has_failed_comes_after_one_that_has_not() -> None:
    """Some censors remember whom they have caught, for a minute."""
    crawl = Crawl([1, 2, 3], [HERE, THERE])
    first = crawl.next()
    assert first == Try(1, THERE)
    crawl.ended(first, "bad")
    crawl.ended(crawl.plain(), "bad")
    assert {crawl.failures[HERE], crawl.failures[THERE]} == {1}
    assert crawl.next() is not None


def test_where_a_wrong_try_costs_an_address_there_is_one_at_a_time() -> None:
    crawl = Crawl([3, 1, 2], [HERE, THERE], careful=True)
    crawl.ended(crawl.plain(), "unreachable")
    first = crawl.next()
    assert first == Try(3, THERE)
    assert crawl.next() is None
    crawl.ended(first, "bad")
    assert crawl.next() == Try(1, HERE)


def test_whether_anybody_answered_at_all() -> None:
    crawl = Crawl([1], [HERE])
    crawl.ended(Try(1, HERE), "unreachable")
    assert not crawl.met
    crawl.ended(Try(0, HERE), "bad")
    assert crawl.met
    assert crawl.tried == 1


def test_where_nobody_takes_a_connection_at_all_it_is_over_soon() -> None:
    crawl = Crawl(range(1, 20), [HERE, THERE])
    crawl.ended(crawl.plain(), "unreachable")
    for _ in range(4):
        one = crawl.next()
        assert one
        crawl.ended(one, "unreachable")
    assert crawl.next() is None


def test_what_worked_here_last_comes_first_then_the_cheapest() -> None:
    prior = ["a", "b", "c", "d"]
    assert ordered(prior, ["c", "z"], 1) == [3, 1, 2, 4]
    assert ordered(prior, [], 11) == [11, 12, 13, 14]


def test_a_strategy_has_to_work_where_the_page_failed_too() -> None:
    """What beats a censor by one family, or at one distance, may not by the other."""
    crawl = Crawl([1], [HERE, THERE])
    first = crawl.next()
    assert first == Try(1, THERE)
    crawl.ended(first, "good")
    assert crawl.next() == Try(1, HERE)


def test_unless_nobody_is_reached_there_any_more() -> None:
    """A censor that remembers whom it has caught lets no connection come about for a while."""
    crawl = Crawl([1], [HERE, THERE])
    first = crawl.next()
    assert first
    crawl.ended(crawl.plain(), "unreachable")
    crawl.ended(first, "good")
    assert crawl.next() == Try(1, THERE)
