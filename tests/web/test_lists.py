"""Subscriptions on the page: what a household sees of each, its word on a newer list, and one clear error for wrong input."""

import re

import pytest
from conftest import Daemon, news, post, subscription, transport
from flask.testing import FlaskClient

from webui.subscription import size


def words(page: str) -> str:
    """What the page says, without its markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def told(owner: FlaskClient, daemon: Daemon, *subscriptions: dict[str, object]) -> str:
    daemon.change(subscriptions=list(subscriptions))
    return words(owner.get("/lists").text)


def test_it_says_how_many_ways_work_how_much_is_used_and_until_when_it_is_paid(owner: FlaskClient, daemon: Daemon) -> None:
    said = told(owner, daemon, subscription("Aunt", title="\U0001f30d Aunt's", rejected=4))
    assert "12 ways out: 2 working, 3 not getting through, 7 kept for later." in said
    assert "3 GB of 10 GB used" in said and "Paid until 2031-05-06" in said
    assert "\U0001f30d Aunt&#39;s · panel.example" in said
    assert "Fetched 2026-01-01 00:00:00 UTC · not usable in it: 4" in said
    assert '<progress max="10000000000" value="3000000000"' in owner.get("/lists").text


def test_the_bar_is_full_and_no_fuller_when_more_is_used_than_was_paid_for(owner: FlaskClient, daemon: Daemon) -> None:
    said = told(owner, daemon, subscription("Aunt", used_bytes=11 * 10**9, expired=True))
    assert "Aunt Used up" in said and "11 GB of 10 GB used" in said and "Pay for it again" in said
    assert '<progress class="spent" max="10000000000" value="10000000000"' in owner.get("/lists").text


def test_a_term_that_is_over_is_said_apart_from_a_quota_that_is_used_up(owner: FlaskClient, daemon: Daemon) -> None:
    said = told(owner, daemon, subscription("Aunt", expired=True))
    assert "Aunt Expired" in said and "Used up" not in said and "It was paid until 2031-05-06" in said


def test_what_a_provider_does_not_say_is_not_shown(owner: FlaskClient, daemon: Daemon) -> None:
    said = told(owner, daemon, subscription("Aunt", used_bytes=None, total_bytes=None, expires=None, updated=None))
    assert "used" not in said and "Paid until" not in said
    assert "Never fetched" in said and "progress" not in owner.get("/lists").text


def test_what_went_wrong_is_one_sentence_and_the_list_before_is_still_counted(owner: FlaskClient, daemon: Daemon) -> None:
    said = told(owner, daemon, subscription("Aunt", last_error="status 403"))
    assert "could not be fetched, and is tried again by itself: status 403" in said and "12 ways out" in said


def test_where_nothing_is_up_it_says_so_and_offers_to_paste_the_list(owner: FlaskClient, daemon: Daemon) -> None:
    told(owner, daemon, subscription("Aunt & co", waits=True, nodes=0, up=0, failed=0))
    page = owner.get("/lists").text
    assert "never fetched in the open" in page and 'action="/lists/update"' not in page
    assert 'href="/lists/paste?name=Aunt+%26+co"' in page
    assert "Aunt &amp; co" in owner.get("/lists/paste?name=Aunt+%26+co").text


def test_a_list_that_is_pasted_is_handed_over_whole(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.change(subscriptions=[subscription("Aunt/1")])
    answer = post(owner, "/lists/paste", "/lists/paste?name=Aunt/1", name="Aunt/1", pasted=" ss://one\nss://two ")
    assert (answer.status_code, answer.location) == (303, "/lists")
    assert daemon.calls == [("POST", "/subscriptions/Aunt/1/update", {"text": "ss://one\nss://two"})]
    assert "The list of “Aunt/1” is in use." in owner.get("/lists").text


@pytest.mark.parametrize(("pasted", "said"), [("  ", "Paste the list first."), ("<html>", "A web page came.")])
def test_a_wrong_list_gives_one_error_and_stays_in_the_box(
    owner: FlaskClient, daemon: Daemon, pasted: str, said: str
) -> None:
    daemon.change(subscriptions=[subscription("Aunt")])
    token = re.search(r'name="token" value="([^"]+)"', owner.get("/lists/paste?name=Aunt").text)[1]  # type: ignore[index]
    daemon.refuse = (422, "list", "A web page came.")
    form = {"name": "Aunt", "pasted": pasted, "token": token}
    answer = owner.post("/lists/paste", data=form, headers={"Origin": "http://localhost"})
    assert answer.status_code == 422
    assert re.findall(r'role="alert" id="error">([^<]+)<', answer.text) == [said]
    assert pasted.strip().replace("<", "&lt;").replace(">", "&gt;") in answer.text


def test_update_now_says_what_the_daemon_says(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.change(subscriptions=[subscription("a b/ü?")])
    assert post(owner, "/lists/update", "/lists", name="a b/ü?").location == "/lists"
    assert daemon.calls == [("POST", "/subscriptions/a b/ü?/update", {})]
    assert "“a b/ü?” is up to date." in owner.get("/lists").text
    token = re.search(r'name="token" value="([^"]+)"', owner.get("/lists").text)[1]  # type: ignore[index]
    daemon.refuse = (502, "subscription", "Aunt: status 403; the list before stays in use")
    owner.post("/lists/update", data={"token": token, "name": "Aunt"}, headers={"Origin": "http://localhost"})
    daemon.refuse = None
    assert "status 403; the list before stays in use" in owner.get("/lists").text
    assert "status 403" not in owner.get("/lists").text, "said once"


def test_a_newer_list_is_shown_by_its_first_names_before_the_owner_takes_it(owner: FlaskClient, daemon: Daemon) -> None:
    said = told(owner, daemon, subscription("Aunt", pending=news("Aunt", 17, 2)))
    assert "New: 17 new 1 , new 2 , new 3 , new 4 , new 5 and 12 more" in said
    assert "Gone: 2 old 1 , old 2" in said and "Changed:" not in said
    assert "new 6" not in said


def test_use_it_takes_what_was_seen_and_nothing_that_came_since(owner: FlaskClient, daemon: Daemon) -> None:
    told(owner, daemon, subscription("Aunt", pending=news("Aunt", 17, 2)))
    mark = re.search(r'name="mark" value="(\w+)"', owner.get("/lists").text)[1]  # type: ignore[index]
    told(owner, daemon, subscription("Aunt", pending=news("Aunt", 18, 2)))
    post(owner, "/lists/confirm", "/lists", name="Aunt", mark=mark)
    assert daemon.calls == [] and "Look again" in owner.get("/lists").text
    told(owner, daemon, subscription("Aunt", pending=news("Aunt", 17, 2)))
    post(owner, "/lists/confirm", "/lists", name="Aunt", mark=mark)
    assert daemon.calls == [("POST", "/subscriptions/Aunt/confirm", {})]


def test_removing_asks_first_and_says_that_its_ways_go_with_it(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.change(subscriptions=[subscription("Aunt")], transports=[transport("home", subscription="Aunt")])
    page = owner.get("/lists/remove?name=Aunt").text
    assert "Remove “Aunt”?" in page and "All 12 ways out" in page and "in use right now" in page
    assert daemon.calls == []
    assert owner.get("/lists/remove?name=nobody").status_code == 404
    assert post(owner, "/lists/remove", "/lists/remove?name=Aunt", name="Aunt").location == "/lists"
    assert daemon.calls == [("DELETE", "/subscriptions/Aunt", None)]


def test_the_dashboard_has_one_line_for_all_of_them_and_none_where_there_is_none(owner: FlaskClient, daemon: Daemon) -> None:
    assert "/lists" not in owner.get("/live").text.split('data-part="lists"')[0]
    told(owner, daemon, subscription("Aunt"), subscription("Uncle", nodes=160, up=1))
    assert "Subscriptions: 2 · ways in their lists: 172 · working now: 3" in words(owner.get("/").text)


def test_with_a_subscription_that_waits_nobody_is_told_to_add_a_first_way_out(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.change(transports=[], active=None, phase="blocked", subscriptions=[subscription("Aunt", waits=True, nodes=0)])
    page = owner.get("/").text
    assert "Add your first way out" not in page and "Subscriptions: 1" in page


def test_a_name_from_right_to_left_leaves_the_words_around_it_where_they_are(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.change(subscriptions=[subscription("خاله (2)"), subscription("Ünal")])
    assert "Remove “\u2068خاله (2)\u2069”?" in owner.get("/lists/remove?name=خاله (2)").text
    assert "Remove “Ünal”?" in owner.get("/lists/remove?name=Ünal").text


def test_without_any_the_page_says_how_to_begin(owner: FlaskClient, daemon: Daemon) -> None:
    assert "There is none." in owner.get("/lists").text and "Add a subscription" in owner.get("/lists").text


def test_what_cannot_be_removed_by_itself_has_no_button_for_it(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.change(transports=[transport("Aunt/x", subscription="Aunt"), transport("No server", builtin=True), transport("own")])
    page = owner.get("/").text
    assert re.findall(r'href="/remove\?name=([^"]+)"', page) == ["own"] and page.count('action="/disable"') == 1
    assert "comes and goes with the subscription" in page and "The router brought it along" in page
    assert owner.get("/remove?name=Aunt/x").status_code == 404
    assert owner.get("/remove?name=No server").status_code == 404


def test_a_way_with_nobody_in_between_is_called_what_it_is_before_and_while_it_is_used(
    owner: FlaskClient, daemon: Daemon
) -> None:
    straight = {"code": "straight", "severity": "warning", "title": "What you visit (No server)", "cure": "docs/desync.md"}
    ways = [transport("home"), transport("No server", kind="desync")]
    daemon.change(transports=ways)
    assert "hides no sites from your provider" in owner.get("/").text
    assert "straight out:" not in owner.get("/").text
    daemon.change(active="No server", problems=[straight])
    said = words(owner.get("/").text)
    assert "You are through – straight out: No server" in said
    assert "open internet works for everybody" not in said and "without a server in between" in said
    assert "your provider sees which sites you visit" in said and "docs/desync.md" not in said


def test_removing_the_last_way_of_ones_own_says_what_the_router_goes_on_with(owner: FlaskClient, daemon: Daemon) -> None:
    said = "It is the last one of your own."
    assert said not in owner.get("/remove?name=home").text
    daemon.change(transports=[transport("home"), transport("No server", builtin=True)])
    assert said in owner.get("/remove?name=home").text
    daemon.change(subscriptions=[subscription("Aunt")])
    assert said not in owner.get("/remove?name=home").text, "beside a subscription nothing goes straight out"


def test_removing_a_way_without_a_server_names_no_server_and_no_link(owner: FlaskClient, daemon: Daemon) -> None:
    daemon.change(transports=[transport("Mine", kind="desync")])
    daemon.servers["Mine"] = "0.0.0.0"
    page = owner.get("/remove?name=Mine").text
    assert "0.0.0.0" not in page and "desync://auto" in page and "Its link is deleted" not in page


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 kB"), (999, "1 kB"), (1500, "1.5 kB"), (99_960, "100 kB"), (999_499, "999 kB"), (999_500, "1 MB"),
     (3 * 10**9, "3 GB"), (53_687_091_200, "53.7 GB"), (10**12, "1 TB"), (5 * 10**18, "5000 PB")],
)
def test_an_amount_is_said_with_few_figures(count: int, said: str) -> None:
    assert size(count) == said
