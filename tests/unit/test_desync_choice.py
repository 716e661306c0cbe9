"""Which strategy a site gets, and when one is searched for."""

from routerd.desync.choice import ENOUGH, FINE, FORGET, HELD, RESIDUAL, REST, Choice, group
from routerd.desync.grammar import parse
from routerd.desync.prior import HTTP, TLS
from routerd.desync.flow import Ask
from routerd.model import TRIAL_PLAIN

SITE = Ask("tls", "www.blocked.example", b"\xc6\x33\x64\x0a")
NEIGHBOUR = Ask("tls", "static.blocked.example", b"\xc6\x33\x64\x0b")
OTHER = Ask("tls", "free.example", b"\xc6\x33\x64\x0c")
QUIC = Ask("quic", "www.blocked.example", b"\xc6\x33\x64\x0a")


def choice() -> Choice:
    return Choice(None, b"k" * 32, tuple(parse(text) for text in (*TLS, *HTTP)))


def test_a_site_that_works_is_left_as_it_is() -> None:
    one = choice()
    one.heard(SITE)
    assert one.of(SITE, 0.5) == ()


def test_one_failure_begins_a_search_and_no_second_one_beside_it() -> None:
    one = choice()
    assert one.failed("reset", SITE, 0.0)
    assert not one.failed("silent", NEIGHBOUR, 1.0), "they are blocked together, and looked for together"
    assert one.failed("reset", OTHER, 1.0)


def test_while_it_is_looked_for_the_site_is_held_back_but_not_for_long() -> None:
    """Whoever sees its name meanwhile may shut its other addresses off; a slow page is not held back at all."""
    one = choice()
    one.failed("reset", SITE, 0.0)
    assert one.of(SITE, 1.0) is None
    assert one.of(OTHER, 1.0) == ()
    assert one.of(SITE, 1.0 + HELD) == ()
    one.found(SITE, TLS[0], 2.0)
    assert one.of(SITE, 2.0) == parse(TLS[0])
    one.failed("slow", OTHER, 0.0)
    assert one.of(OTHER, 1.0) == ()


def test_what_was_found_holds_for_the_neighbours_and_for_nobody_else() -> None:
    one = choice()
    one.failed("reset", SITE, 0.0)
    one.found(SITE, TLS[0], 1.0)
    assert one.of(SITE, 0.5) == one.of(NEIGHBOUR, 0.5) == parse(TLS[0])
    assert one.of(OTHER, 0.5) == ()
    assert one.counts() == {TLS[0]: 1}
    assert one.won == [TLS[0]], "and is the first that others are tried with"


def test_what_works_no_longer_is_looked_for_again_after_some_failures() -> None:
    one = choice()
    one.failed("reset", SITE, 0.0)
    one.found(SITE, TLS[0], 1.0)
    assert not one.failed("reset", SITE, 2.0)
    one.heard(SITE)
    assert not one.failed("reset", SITE, 3.0), "a good answer forgives"
    assert ENOUGH == 2
    assert one.failed("reset", SITE, 4.0)


def test_failures_that_lie_far_apart_are_each_a_first_one() -> None:
    one = choice()
    one.found(SITE, TLS[0], 0.0)
    assert not one.failed("reset", SITE, 1.0)
    assert not one.failed("reset", SITE, 2.0 + FORGET)


def test_a_site_that_turned_out_to_work_plain_is_left_in_peace_for_a_while() -> None:
    one = choice()
    one.failed("slow", SITE, 0.0)
    one.found(SITE, None, 1.0, plain=True)
    assert one.of(SITE, 0.5) == ()
    assert not one.failed("slow", SITE, FINE)
    assert one.failed("slow", SITE, 2.0 + FINE)


def test_what_worked_stays_where_nothing_better_is_found() -> None:
    """A censor that shuts out whom it has caught makes each strategy fail for a while, those that it never catches too."""
    one = choice()
    one.found(SITE, TLS[0], 0.0)
    one.failed("reset", SITE, 1.0)
    assert one.failed("reset", SITE, 2.0)
    one.found(SITE, None, 20.0)
    assert one.of(SITE, 21.0) == parse(TLS[0])
    assert not one.failed("reset", SITE, 22.0)


def test_what_nothing_helps_rests_for_longer_each_time() -> None:
    one = choice()
    assert one.failed("reset", SITE, 0.0)
    one.found(SITE, None, 10.0)
    assert not one.failed("reset", SITE, 9.0 + REST)
    assert one.failed("reset", SITE, 11.0 + REST)
    one.found(SITE, None, 100.0)
    assert not one.failed("reset", SITE, 99.0 + 2 * REST)
    assert one.failed("reset", SITE, 101.0 + 2 * REST)


def test_quic_gets_decoys_where_its_site_needs_a_strategy() -> None:
    one = choice()
    assert one.of(QUIC, 0.5) == ()
    one.found(SITE, TLS[0], 0.0)
    assert one.of(QUIC, 0.5)
    assert not one.failed("silent", QUIC, 1.0)


def test_quic_that_fails_alone_gets_decoys_and_is_plain_again_where_they_do_not_help() -> None:
    one = choice()
    assert not one.failed("silent", QUIC, 0.0), "without a search"
    assert one.of(QUIC, 0.5) and one.of(SITE, 0.5) == () and one.counts() == {"decoys(3)": 1}
    for at in (1.0, RESIDUAL - 1, RESIDUAL + 1):
        one.failed("silent", QUIC, at)
    assert one.of(QUIC, 0.5), "what was remembered of the first one is forgiven"
    one.heard(QUIC)
    one.failed("silent", QUIC, RESIDUAL + 2)
    assert one.of(QUIC, 0.5), "a good answer forgives"
    one.failed("silent", QUIC, RESIDUAL + 2 + FORGET)
    assert one.of(QUIC, 0.5), "so does time"
    one.failed("silent", QUIC, (plain := RESIDUAL + 3 + FORGET))
    assert one.of(QUIC, 0.5) == () and one.counts() == {}
    one.failed("silent", QUIC, plain + REST - 1)
    assert one.of(QUIC, 0.5) == (), "for a while"
    one.failed("silent", QUIC, plain + REST + 1)
    assert one.of(QUIC, 0.5)


def test_quic_whose_decoys_come_from_its_https_has_no_account_of_its_own() -> None:
    one = choice()
    one.found(SITE, TLS[0], 0.0)
    one.failed("silent", QUIC, 1.0)
    assert one.counts() == {TLS[0]: 1}


def test_a_search_tries_by_number_and_its_failures_count_for_nobody() -> None:
    one = choice()
    tried = Ask("tls", SITE.host, SITE.address, trial=2)
    assert one.of(tried, 0.5) == parse(TLS[1])
    assert not one.failed("reset", tried, 0.0)
    assert one.of(Ask("http", SITE.host, SITE.address, trial=len(TLS) + 1), 0.5) == parse(HTTP[0])
    one.found(SITE, TLS[0], 1.0)
    assert one.of(Ask("tls", SITE.host, SITE.address, trial=TRIAL_PLAIN), 0.5) == (), "plain is plain, whatever was found"
    assert len(TLS) + len(HTTP) < TRIAL_PLAIN


def test_the_owners_own_strategy_is_for_every_site_and_nothing_is_searched() -> None:
    one = Choice(parse(TLS[0]), b"k" * 32)
    assert one.of(OTHER, 0.5) == parse(TLS[0])
    assert not one.failed("reset", OTHER, 0.0)


def test_no_name_is_kept() -> None:
    one = choice()
    one.found(SITE, TLS[0], 0.0)
    assert "blocked" not in repr(one)
    assert one.site("tls", SITE) != Choice(None, b"l" * 32).site("tls", SITE)


def test_what_is_blocked_together() -> None:
    assert group("a.b.example.com") == group("example.com") == "example.com"
    assert group("www.example.co.uk") == "example.co.uk"
    assert group("192.0.2.1") == "192.0.2.1"
    assert group("2001:db8::1") == "2001:db8::1"
