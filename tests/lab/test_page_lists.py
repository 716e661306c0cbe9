"""Subscriptions, and a way without a server, on the real page: real daemon, real panel, over HTTPS through a transport."""

import re
from collections.abc import Iterator

import pytest

from .box import Box
from .fault import FIREWALL_OFF
from .lab import Lab
from .net import LabError, wait_until
from .owner import Browser, page_of
from .panel import NAME, TOKEN, Panel, start_panel
from .test_desync import HOST, SPLIT, table

SERVERS = ["trojan", "ss"]
TOR = "/usr/sbin/tor"


@pytest.fixture(scope="module")
def panel(lab: Lab) -> Panel:
    return start_panel(lab.net, lab.ca)


@pytest.fixture
def home(lab: Lab) -> Iterator[Box]:
    with Box(lab, ["trojan"]) as box:
        box.wait_open()
        yield box


@pytest.fixture
def page(lab: Lab, home: Box) -> Iterator[Browser]:
    with page_of(lab, home) as browser:
        yield browser


def nodes(lab: Lab) -> list[str]:
    ss = lab.server("ss")
    links = [ss.link_to(host) for host in (ss.address4, ss.address6, ss.hostname)]
    return [f"{link.partition('#')[0]}#node%20{number}" for number, link in enumerate(links, 1)]


def said(page: Browser, path: str = "/lists") -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.get(path).partition("\n\n")[2]).split())


def waits_for(page: Browser, words: str) -> None:
    try:
        wait_until(lambda: words in said(page), 20, words, 0.3)
    except LabError as error:
        raise AssertionError(said(page)) from error


def test_a_subscription_from_its_address_to_its_end_on_the_page(lab: Lab, panel: Panel, home: Box, page: Browser) -> None:
    panel.say("list", "\n".join(nodes(lab)))
    before = home.config.read_text()
    page.get("/add")
    assert page.post("/add", pasted=panel.url).startswith("HTTP/1.1 303")
    waits_for(page, "3 ways out:")
    text = said(page)
    assert "3 GB of 10 GB used" in text and "Paid until 2100-01-01" in text and "Aunt" in text and NAME in text
    assert TOKEN not in page.get("/lists"), "the address is a password"
    assert "ways in their lists: 3" in said(page, "/")

    panel.say("status 403")
    page.get("/lists")
    page.post("/lists/update", name=NAME)
    text = said(page)
    assert text.count("status 403; the list before stays in use") == 1, text
    assert "It could not be fetched, and is tried again by itself:" in text and "3 ways out:" in text
    assert TOKEN not in text

    panel.say("list", "\n".join(nodes(lab)[:2]))
    page.get("/lists")
    page.post("/lists/update", name=NAME)
    assert f"“{NAME}” is up to date." in said(page)
    waits_for(page, "2 ways out:")

    asked = page.get(f"/lists/remove?name={NAME}")
    assert "All 2 ways out of its list go with it" in asked
    page.post("/lists/remove", name=NAME)
    waits_for(page, "There is none.")
    assert home.config.read_text().strip() == before.strip()
    assert not any(home.folder.joinpath("state", "subscriptions").iterdir()), "its list holds keys"


def test_a_newer_list_is_looked_at_and_taken_on_the_page(lab: Lab, panel: Panel, home: Box, page: Browser) -> None:
    panel.say("list", "\n".join(nodes(lab)[:2]))
    home.ask("POST", "/subscriptions", {"name": "Aunt", "url": panel.url, "confirm": True}, 40)
    waits_for(page, "2 ways out:")
    panel.say("list", "\n".join(nodes(lab)[1:]))
    page.get("/lists")
    page.post("/lists/update", name="Aunt")
    text = said(page)
    assert "A newer list waits for your word" in text and "New: 1 node 3" in text and "Gone: 1 node 1" in text, text
    mark = re.search(r'name="mark" value="(\w+)"', page.get("/lists"))
    assert mark
    page.post("/lists/confirm", name="Aunt", mark="0" * 16)
    assert "Look again" in said(page) and "A newer list waits" in said(page)
    page.post("/lists/confirm", name="Aunt", mark=mark[1])
    assert "The newer list of “Aunt” is in use." in said(page)
    wait_until(lambda: "A newer list waits" not in said(page), 10, "it is taken")


def test_a_node_of_a_list_has_no_button_that_could_not_work(lab: Lab, panel: Panel, home: Box, page: Browser) -> None:
    panel.say("list", "\n".join(nodes(lab)))
    home.ask("POST", "/subscriptions", {"name": "Aunt", "url": panel.url}, 40)
    home.wait_warm(2)
    dashboard = page.get("/")
    assert "It comes and goes with the subscription" in dashboard
    assert re.findall(r'href="/remove\?name=([^"]+)"', dashboard) == ["trojan"]


def test_where_nothing_is_up_the_owner_pastes_the_list_itself(lab: Lab, panel: Panel) -> None:
    panel.say("list", "\n".join(nodes(lab)))
    asked = len(panel.requests())
    subscribed = f'[[subscription]]\nname = "Aunt"\nurl = "{panel.url}"\n'
    with Box(lab, [], extra=subscribed) as box, page_of(lab, box) as page:
        waits_for(page, "Nothing works yet that its list could be fetched through")
        page.get("/lists/paste?name=Aunt")
        wrong = page.post("/lists/paste", name="Aunt", pasted="<html>renew your plan</html>")
        assert wrong.startswith("HTTP/1.1 422") and wrong.count('role="alert" id="error"') == 1
        assert "A web page came in place of a list." in wrong and "renew your plan" in wrong
        assert len(panel.requests()) == asked, "nothing is ever fetched in clear"
        assert page.post("/lists/paste", name="Aunt", pasted="\n".join(nodes(lab))).startswith("HTTP/1.1 303")
        box.wait_open(None, 40)
        waits_for(page, "3 ways out:")


def test_with_nobody_in_between_the_page_says_what_that_means(lab: Lab) -> None:
    lab.router.sh(FIREWALL_OFF)
    with Box(lab, ["ss"], extra=table(SPLIT, "Mine")) as box, page_of(lab, box) as page:
        box.wait_open("Mine")
        assert lab.page_token(HOST) in lab.phone.curl(f"https://{HOST}/", "-m", "5").stdout
        text = said(page, "/")
        assert "You are through – straight out: Mine" in text and "works for everybody" not in text
        assert "Sites see your own address, and your provider sees which sites you visit" in text
        assert "docs/" not in text
        asked = said(page, "/remove?name=Mine")
        assert "0.0.0.0" not in asked and "To have it back, add desync://auto." in asked
        assert "the last one of your own" not in asked
        page.get("/remove?name=Mine")
        page.post("/remove", name="Mine")
        box.wait_open("ss")
        page.get("/add")
        assert page.post("/add", pasted="desync://auto", name="Again").startswith("HTTP/1.1 303")
        page.get("/")
        page.post("/use", name="Again")
        box.wait_open("Again")
        history = said(page, "/history")
        assert "now through Again, straight out" in history and "Works: Again" in history
        assert re.search(r"now through ss (?!, straight)", history)


def test_who_removes_his_last_way_out_is_told_that_the_router_goes_on_with_its_own(lab: Lab) -> None:
    lab.router.sh(FIREWALL_OFF)
    with Box(lab, ["ss"]) as box, page_of(lab, box) as page:
        box.wait_open("ss")
        assert "It is the last one of your own" in page.get("/remove?name=ss")
        page.post("/remove", name="ss")
        box.wait_open("No server", 40)
        text = said(page, "/")
        assert "You are through – straight out: No server" in text and "The router brought it along" in text
        assert "/remove?name=" not in page.get("/")


def test_a_way_whose_program_is_not_on_the_box_says_so_and_the_others_carry(lab: Lab) -> None:
    lab.router.run(["mount", "--bind", "/dev/null", TOR])
    try:
        with Box(lab, ["ss"], extra='[[transport]]\nname = "Onion"\nkind = "tor"\n') as box, page_of(lab, box) as page:
            box.wait_open("ss")
            box.wait(lambda s: {t["name"]: t["state"] for t in s["transports"]}["Onion"] == "down", 20)
            text = said(page, "/")
            assert "Onion Does not get through Tor tor is not on this box" in text, text
    finally:
        lab.router.run(["umount", TOR])
