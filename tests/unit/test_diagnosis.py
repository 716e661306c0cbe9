"""The table of causes: each row is reached, nobody is blamed without a control, and there is always a verdict."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.diagnosis import (
    BLAMES,
    EXPLANATIONS,
    TABLE,
    WORDS,
    Evidence,
    Page,
    fits,
    is_bogus,
    is_portal,
    judge,
    same,
)
from routerd.diagnose import site_of
from routerd.probe.examine import Site
from routerd.problems import GOES_THROUGH, VERDICTS, Declared, visible

EVIDENCE = st.builds(Evidence, **{name: st.sampled_from(words) for name, words in WORDS.items()})
# A host that nobody disturbs; each story says how its world differs.
FREE = Evidence(
    portal="no", clock="right", abroad="ok", domestic="ok", dns="ok", tcp="ok", cover="ok", tls="ok", body="ok",
    http="ok", udp="ok", opens="ok", body_opens="ok", http_opens="ok", udp_opens="ok",
)
NOTHING = Evidence(portal="no", abroad="silent", domestic="silent", tcp="silent", dns="silent")
UDP_SERVER = Evidence("server", tcp="refused", udp="silent", opens="ok")
SEEN = ("tls", "body", "http", "udp")

STORIES: list[tuple[str, Evidence]] = [
    ("not_blocked", FREE),
    ("wan_down", replace(FREE, line="no_carrier")),
    ("no_lease", replace(FREE, line="no_lease")),
    ("wan_down", NOTHING),
    ("national_network_only", replace(NOTHING, domestic="ok", dns="ok")),
    ("captive_portal", replace(NOTHING, domestic="ok", portal="yes")),
    ("not_blocked", replace(FREE, portal="yes")),  # a proxy that meddles with plain HTTP, and the transport works
    ("clock_wrong", replace(FREE, clock="wrong", tls="dated", opens="untried")),
    ("dns_tampered", replace(FREE, dns="lied")),
    ("dns_tampered", replace(FREE, dns="lied", tls="reset", tcp="silent")),  # the first disturbed stage is named
    ("dns_tampered", replace(FREE, dns="silent")),
    ("not_blocked", replace(FREE, dns="silent", domestic="silent")),  # its resolver is out of order, for all names
    ("ip_blocked", replace(FREE, tcp="silent", cover="untried", tls="untried", http="silent")),
    ("ip_blocked", replace(FREE, tcp="refused", cover="untried", tls="untried", http="silent")),
    ("port_blocked", replace(FREE, tcp="silent", cover="untried", tls="untried")),
    ("ip_blocked", replace(FREE, tls="reset", cover="reset")),
    ("tcp_reset_on_sni", replace(FREE, tls="reset")),
    ("tcp_reset_on_sni", replace(FREE, tls="reset", opens="untried")),
    ("tcp_reset_on_sni", replace(FREE, tls="reset", cover="silent")),
    ("silent_drop_after_clienthello", replace(FREE, tls="silent")),
    ("silent_drop_after_clienthello", replace(FREE, tls="silent", opens="untried")),
    ("silent_drop_after_clienthello", replace(FREE, tls="silent", cover="silent")),
    ("tls_intercepted", replace(FREE, tls="forged", cover="ok")),
    ("frozen_after_n_kb", replace(FREE, body="frozen")),
    ("throttled", replace(FREE, body="slow")),
    ("not_blocked", replace(FREE, body="slow", body_opens="failed")),  # a slow site, or a slow line
    ("block_page", replace(FREE, http="other")),
    ("http_blocked", replace(FREE, http="reset")),
    ("http_blocked", replace(FREE, http="silent")),
    ("udp_blocked", replace(FREE, udp="silent")),
    ("not_blocked", replace(FREE, udp="silent", udp_opens="failed")),  # most sites speak no HTTP/3
    ("target_down", replace(FREE, tcp="silent", tls="untried", http="silent", opens="failed", http_opens="failed")),
    ("target_down", replace(FREE, tls="forged", opens="failed", http="untried")),  # the site's own bad certificate
    ("not_blocked", replace(FREE, opens="failed")),
    ("not_blocked", replace(FREE, tcp="refused", tls="untried", opens="failed")),  # plain HTTP is all it speaks
    ("http_blocked", replace(FREE, tcp="refused", tls="untried", http="reset", opens="failed")),
    ("block_page", replace(FREE, tcp="refused", tls="untried", http="other", opens="failed")),
    ("inconclusive", Evidence()),
    ("inconclusive", Evidence(opens="ok")),  # --through-only
    ("inconclusive", replace(FREE, tcp="silent", tls="untried", opens="untried")),
    ("inconclusive", replace(FREE, tls="forged", opens="untried")),
    ("server_dead_for_everyone", Evidence("server", tcp="refused", opens="failed")),
    ("server_dead_for_everyone", Evidence("server", tcp="silent", opens="failed")),
    ("ip_blocked", Evidence("server", tcp="silent", opens="ok")),
    ("tcp_reset_on_sni", Evidence("server", tcp="ok", tls="reset", cover="ok", opens="ok")),
    ("udp_blocked", UDP_SERVER),
    ("ip_blocked", replace(UDP_SERVER, tcp="silent")),
    ("server_dead_for_everyone", replace(UDP_SERVER, opens="failed")),
    ("not_blocked", replace(UDP_SERVER, udp="ok")),
    ("not_blocked", Evidence("server", tcp="ok", opens="ok")),
    ("inconclusive", Evidence("server", tcp="silent")),
]


@pytest.mark.parametrize(("code", "evidence"), STORIES)
def test_each_story_has_its_cause(code: str, evidence: Evidence) -> None:
    assert judge(evidence).code == code


@pytest.mark.parametrize("number", range(len(TABLE)))
def test_each_row_decides_some_story(number: int) -> None:
    row = TABLE[number]
    deciding = [next(r for r in TABLE if fits(r, evidence)) for _, evidence in STORIES]
    assert row in deciding, f"no story reaches row {number}: {row.code} {dict(row.when)}"


def test_the_table_knows_only_words_that_evidence_has() -> None:
    for row in TABLE:
        for name, words in row.when.items():
            assert words <= set(WORDS[name]), (row.code, name)
    assert {row.code for row in TABLE} == set(VERDICTS) == set(EXPLANATIONS)


@given(EVIDENCE)
@settings(max_examples=300)
def test_there_is_always_a_verdict_with_words_for_it(evidence: Evidence) -> None:
    verdict = judge(evidence)
    assert verdict.title and verdict.explanation and verdict.cure


@given(EVIDENCE)
@settings(max_examples=300)
def test_nobody_is_blamed_where_every_control_failed_too(evidence: Evidence) -> None:
    failed = replace(evidence, opens="failed", body_opens="failed", http_opens="failed", udp_opens="failed")
    assert judge(failed).code not in BLAMES


@given(EVIDENCE)
@settings(max_examples=300)
def test_without_any_control_only_names_and_the_cover_name_can_blame(evidence: Evidence) -> None:
    alone = replace(evidence, opens="untried", body_opens="untried", http_opens="untried", udp_opens="untried")
    code = judge(alone).code
    if code in BLAMES:
        assert alone.dns == "lied" or (alone.cover == "ok" and alone.tls in ("reset", "silent")), code


@given(EVIDENCE)
@settings(max_examples=300)
def test_nobody_is_blamed_who_disturbed_nothing(evidence: Evidence) -> None:
    free = replace(evidence, dns="ok", tcp="ok", cover="ok", tls="ok", body="ok", http="ok", udp="ok")
    assert judge(free).code not in BLAMES


@given(EVIDENCE)
@settings(max_examples=300)
def test_the_line_is_never_at_fault_while_a_transport_carries(evidence: Evidence) -> None:
    carried = replace(evidence, line="up", clock="right", opens="ok")
    assert judge(carried).code not in ("wan_down", "no_lease", "captive_portal", "national_network_only")


@pytest.mark.parametrize("field", ["http", "body", "udp"])
def test_a_stage_is_blamed_by_its_own_control_only(field: str) -> None:
    for word, control in itertools.product(WORDS[field], ("failed", "untried")):
        evidence = replace(FREE, **{field: word, f"{field}_opens": control})
        assert judge(evidence).code == "not_blocked", (field, word, control)


def test_what_the_transport_carries_needs_no_cure() -> None:
    assert judge(replace(FREE, tls="reset")).cure == GOES_THROUGH
    assert judge(replace(FREE, tls="reset", opens="untried")).cure != GOES_THROUGH
    assert judge(Evidence("server", tcp="silent", opens="ok")).cure != GOES_THROUGH


def test_a_word_that_a_field_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="tcp"):
        Evidence.of({"tcp": "frozen"})
    with pytest.raises(ValueError, match="colour"):
        Evidence.of({"colour": "ok"})
    assert Evidence.of({"tcp": "silent"}) == Evidence(tcp="silent")


SITE = Page(200, "", "A site", 5000)


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        (replace(SITE, size=9000), True),  # other advertisements
        (replace(SITE, title="Access denied"), False),
        (replace(SITE, title="", size=4000), True),
        (replace(SITE, title="", size=300), False),
        (replace(SITE, status=451), False),
        (Page(302, "block.example", "", 0), False),
    ],
)
def test_a_block_page_differs_in_status_title_size_or_where_it_sends_to(other: Page, alike: bool) -> None:
    assert same(SITE, other) == same(other, SITE) == alike


@pytest.mark.parametrize(
    ("page", "path", "portal"),
    [
        (Page(204, "", "", 0), "/generate_204", False),
        (Page(200, "", "Welcome", 900), "/generate_204", True),
        (Page(200, "", "", 8), "/success.txt", False),
        (Page(302, "login.hotel.example", "", 0), "/success.txt", True),
        (Page(301, "a.example", "", 0), "/", False),  # to its own https
        (Page(511, "", "", 0), "/", True),  # RFC 6585
    ],
)
def test_a_portal_shows_itself_where_a_well_known_page_is_asked_for(page: Page, path: str, portal: bool) -> None:
    assert is_portal(page, "a.example", path) == portal


def test_no_public_site_has_a_private_address() -> None:
    assert all(map(is_bogus, ("10.10.34.36", "127.0.0.1", "0.0.0.0", "::1", "fd00::1")))
    assert not any(map(is_bogus, ("9.9.9.9", "2620:fe::fe")))


DECLARED = {
    "wan_down": Declared("error", "x", "y"),
    "blocked": Declared("warning", "x", "y", hidden_by=("wan_down",)),
    "slow": Declared("warning", "x", "y", after=10.0),
    "hint": Declared("info", "x", "y", hidden_by=("slow",)),
}


def test_a_consequence_is_hidden_while_its_cause_is_shown() -> None:
    assert visible({"blocked": 0.0, "wan_down": 0.0}, DECLARED, 1.0) == ("wan_down",)
    assert visible({"blocked": 0.0}, DECLARED, 1.0) == ("blocked",)


def test_what_may_heal_by_itself_is_shown_only_after_a_while() -> None:
    assert visible({"slow": 5.0}, DECLARED, 14.9) == ()
    assert visible({"slow": 5.0}, DECLARED, 15.0) == ("slow",)


def test_a_cause_that_is_not_shown_yet_hides_nothing() -> None:
    assert visible({"slow": 5.0, "hint": 5.0}, DECLARED, 6.0) == ("hint",)
    assert visible({"slow": 5.0, "hint": 5.0}, DECLARED, 20.0) == ("slow",)


@pytest.mark.parametrize("code", VERDICTS)
def test_what_hides_a_verdict_exists_and_never_hides_itself(code: str) -> None:
    assert set(VERDICTS[code].hidden_by) <= set(VERDICTS) - {code}


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("blocked.example", Site("blocked.example")),
        ("Blocked.Example.", Site("blocked.example")),
        ("https://blocked.example/a?b=c", Site("blocked.example", 443, "/a?b=c")),
        ("https://blocked.example:8443", Site("blocked.example", 8443)),
        ("http://blocked.example/a", Site("blocked.example", 443, "/a")),
        ("192.0.2.1", Site("192.0.2.1")),
        ("2001:db8::1", Site("2001:db8::1")),
        ("https://[2001:db8::1]/", Site("2001:db8::1")),
    ],
)
def test_a_host_an_address_and_a_url_are_understood(text: str, site: Site) -> None:
    assert site_of(text) == site


@pytest.mark.parametrize(
    "text",
    [
        *("localhost", "a b.example", "-", "", "ftp://a.example", "https://u:p@a.example", "a.example:99999", "a..b"),
        *("https://a.example/\r\nX: y", "fe80::1%eth0", "https://[x]/", "x" * 300 + ".example", "ex\u0430mple.org"),
    ],
)
def test_what_is_no_host_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        site_of(text)
    assert len(text) < 2 or text not in str(refused.value)
