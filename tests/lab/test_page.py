"""The page, as the household's phone sees it: the real page on the real daemon, from the LAN and never from the WAN."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .box import Box
from .lab import Lab
from .owner import Browser, page_of

TRANSPORTS = ["ss2022", "hysteria2"]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(TRANSPORTS) as lab:
        yield lab


@pytest.fixture(scope="module")
def box(lab: Lab) -> Iterator[Box]:
    with Box(lab, TRANSPORTS) as box:
        box.wait_warm(2)
        yield box


@pytest.fixture(scope="module")
def page(lab: Lab, box: Box) -> Iterator[Browser]:
    with page_of(lab, box) as browser:
        yield browser


def test_the_page_says_that_the_household_is_through(page: Browser) -> None:
    text = page.get("/")
    assert "You are through" in text
    assert "ss2022" in text


def test_the_owner_takes_another_transport_on_the_page(page: Browser, box: Box) -> None:
    page.get("/")
    assert page.post("/use", name="hysteria2").startswith("HTTP/1.1 303")
    box.wait_open("hysteria2", 5)
    assert box.status()["mode"] == "manual"
    page.get("/")
    page.post("/auto")
    box.wait(lambda s: s["mode"] == "auto", 5)


def test_a_link_is_added_and_removed_on_the_page(page: Browser, box: Box) -> None:
    before = box.config.read_text()
    page.get("/add")
    page.post("/add", pasted="ss://YWVzLTI1Ni1nY206cHc@203.0.113.99:8388#Aunt", name="")
    box.wait(lambda s: any(t["name"] == "Aunt" for t in s["transports"]), 5)
    assert box.ask("DELETE", "/transports/Aunt") == {"name": "Aunt"}
    box.wait(lambda s: not any(t["name"] == "Aunt" for t in s["transports"]), 5)
    assert box.config.read_text().strip() == before.strip()


def test_the_page_and_every_other_port_are_silent_towards_the_wan(lab: Lab, page: Browser) -> None:
    for address in ("100.64.7.2", "[2001:db8:7::2]", "192.168.77.1"):
        done = lab.isp.run(["curl", "-sS", "-m", "1", f"http://{address}:8080/"], check=False)
        assert done.returncode == 28, (address, done)


def test_the_command_line_says_the_same_as_the_page(box: Box, lab: Lab) -> None:
    argv = [sys.executable, "-c", "from routerd.cli import main; main()", "--socket", str(box.socket)]
    done = lab.router.run([*argv, "status"], cwd=Path.cwd())
    assert done.stdout.startswith("open through ")
    wrong = lab.router.run([*argv, "use", "nobody"], cwd=Path.cwd(), check=False)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "routerctl: 'nobody': there is no transport of that name\n"
    assert subprocess.run([*argv, "bogus"], capture_output=True, cwd=Path.cwd()).returncode == 2
