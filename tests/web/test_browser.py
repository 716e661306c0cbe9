"""A parent's phone (390x844) in a room without a network: needs chromium, unshare, nsenter, ip, and root.

Pictures of every page go to CLEARWAY_SHOTS (default: the test's own directory).
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from conftest import PASSWORD, QUICK_HASH, Daemon, news, subscription, transport

pytestmark = [
    pytest.mark.skipif(not shutil.which("chromium"), reason="Debian package chromium is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root"),
]
URL = "http://127.0.0.1:8080"
WAYS = [
    transport("Home", latency_ms=82),
    transport("Cousin in Berlin", kind="wireguard", latency_ms=141),
    transport(
        "Without a server", "suspect", kind="desync", latency_ms=460, warm=False, last_error="2 of 3 checks failed"
    ),
    transport(
        "Old one", "down", kind="trojan", latency_ms=None, warm=False, last_error="no answer from the server for 20 s"
    ),
    transport("Spare", "disabled", kind="hysteria2", latency_ms=None, warm=False),
]
CLOCK = {
    "code": "clock",
    "severity": "warning",
    "title": "The clock may be wrong",
    "cure": "Leave the router on for ten minutes.",
}
LONG = "An-extraordinarily-long-name-without-any-blank-that-somebody-gave-it"
WAITING = {"waits": True, "nodes": 0, "up": 0, "failed": 0, "updated": None, "used_bytes": None, "total_bytes": None, "expires": None}
LISTS = {
    "fine": subscription("Aunt", title="\U0001f30d Aunt’s"),
    "expired": subscription("panel.example", nodes=160, up=1, failed=60, expired=True, expires="2025-03-01T00:00:00Z"),
    "spent": subscription("Used", used_bytes=10**10, expired=True),
    "waiting": subscription("Uncle", **WAITING),
    "pending": subscription("Cousin", pending=news("Cousin", 17, 2, 1)),
    "failed": subscription("Work", last_error="it did not answer within 20 s", rejected=3),
    "long": subscription(LONG, host=f"{LONG}.example"[:60], title=LONG, pending={**news("", 0, 0), "added": [f"{LONG} {LONG}"] * 7}),
    "rtl": subscription("خاله مریم \U0001f1ee\U0001f1f7", title="سرویس ما – VIP (2)", pending={**news("", 0, 0), "added": ["آلمان 1", "🇩🇪 DE"]}),
}
STRAIGHT = {
    "code": "straight",
    "severity": "warning",
    "title": "What you visit is reached straight from your own address, and your provider sees where to (No server)",
    "cure": "Add a transport, if that may harm you; see docs/desync.md",
}


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    return Path(os.environ.get("CLEARWAY_SHOTS", str(tmp_path / "shots")))


@pytest.fixture
def room() -> Iterator[int]:
    """The id of a process that keeps a network namespace with nothing but loopback."""
    script = "ip link set lo up && echo ready && exec sleep infinity"
    with subprocess.Popen(["unshare", "-n", "sh", "-c", script], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "ready\n"
        yield holder.pid
        holder.kill()


@pytest.fixture
def browser(room: int, daemon: Daemon, tmp_path: Path) -> Iterator[Browser]:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "password").write_text(QUICK_HASH)
    daemon.status.update(transports=WAYS, active="Home", since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    command = ["nsenter", "-t", str(room), "-n", sys.executable, "-m", "webui", "--listen", URL.removeprefix("http://")]
    page = subprocess.Popen([*command, "--socket", daemon.path, "--state-dir", str(state)])
    chromium = Browser(room, tmp_path / "profile")
    chromium.phone()
    try:
        yield chromium
    finally:
        chromium.close()
        page.terminate()
        page.wait(10)


def sign_in(browser: Browser) -> None:
    browser.wait_for_page(f"{URL}/", "#password")
    browser.type("#password", PASSWORD)
    browser.tap("button")
    browser.wait_for_text("You are through")


def heading(browser: Browser) -> Any:
    return browser.run("document.querySelector('h1').innerText.replace(/\\s+/g, ' ')")


def test_a_parent_signs_in_sees_changes_live_and_switches(browser: Browser, daemon: Daemon, shots: Path) -> None:
    sign_in(browser)
    assert heading(browser) == "You are through – via Home"
    browser.run("window.sameDocument = true")
    browser.wait("performance.getEntriesByType('resource').some(e => e.name.endsWith('page.js'))")
    daemon_hears(daemon)

    daemon.change(phase="switching", active=None)
    browser.wait_for_text("Finding another way")
    daemon.change(phase="blocked", active=None, problems=[CLOCK])
    browser.wait_for_text("No way out right now")
    browser.wait_for_text("The clock may be wrong")
    assert browser.run("document.querySelector('#say').textContent").startswith("No way out")
    daemon.change(phase="open", active="Home", problems=[])
    browser.wait_for_text("You are through")
    assert browser.run("window.sameDocument") is True, "no reload: it came by the stream"

    browser.tap("button[data-key='use Cousin in Berlin']")
    browser.wait_for_text("Changing to “Cousin in Berlin”.")
    assert ("POST", "/use", {"name": "Cousin in Berlin"}) in daemon.calls
    browser.wait("document.querySelector('h1').innerText.includes('Cousin in Berlin')")
    browser.tap("button[data-key=next]")
    browser.wait_for_text("Leaving this way")
    assert daemon.calls[-1] == ("POST", "/try-next", {})
    assert browser.complaints() == []
    assert [url for url in browser.requested() if not url.startswith((URL, "data:", "about:"))] == []


def daemon_hears(daemon: Daemon) -> None:
    for _ in range(100):
        if daemon.listeners:
            return
        time.sleep(0.05)
    raise AssertionError("the page opened no stream")


def test_focus_and_opened_details_survive_a_live_change(browser: Browser, daemon: Daemon) -> None:
    sign_in(browser)
    daemon_hears(daemon)
    browser.tap("summary[data-key='summary Old one']")
    browser.run("document.querySelector(\"[data-key='off Old one']\").focus()")
    daemon.change(transports=[{**each, "latency_ms": 77} for each in WAYS])
    browser.wait_for_text("77 ms")
    assert browser.run("document.activeElement.dataset.key") == "off Old one"
    assert browser.run("document.querySelector(\"[data-key='more Old one']\").open") is True


def test_without_script_the_page_shows_and_its_buttons_work(browser: Browser, daemon: Daemon) -> None:
    browser.script(False)
    sign_in(browser)
    browser.tap("button[data-key='use Cousin in Berlin']")
    browser.wait_for_text("Changing to “Cousin in Berlin”.")


def test_a_hostile_name_stays_text_in_the_browser(browser: Browser, daemon: Daemon) -> None:
    evil = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    sign_in(browser)
    daemon_hears(daemon)
    daemon.change(active=evil, transports=[transport(evil, last_error=evil)])
    browser.wait_for_text(evil)
    assert browser.run("document.title") == "Clearway"
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [320, 360, 412])
def test_nothing_is_wider_than_the_phone_and_every_button_fits_a_thumb(
    browser: Browser, daemon: Daemon, width: int
) -> None:
    daemon.status["transports"] = [*WAYS, transport(LONG, "down", last_error=LONG * 3)]
    daemon.status["subscriptions"] = list(LISTS.values())
    sign_in(browser)
    browser.phone(width)
    lists = ("/lists", f"/lists/paste?name={LONG}", f"/lists/remove?name={LONG}")
    for page in ("/", "/add", "/history", "/password", "/remove?name=Home", *lists):
        browser.open(URL + page)
        assert browser.run("document.documentElement.scrollWidth") <= width, page
        small = "[...document.querySelectorAll('main button, main .button, summary')]"
        assert browser.run(f"{small}.filter(e => e.offsetHeight && e.offsetHeight < 40).map(e => e.innerText)") == []


CONTRAST = """(() => {
  const lum = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const rgb = s => s.match(/[\\d.]+/g).map(Number);
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
  return [...document.querySelectorAll('main *')].filter(e => e.offsetHeight
    && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).map(e => {
    const a = lum(rgb(getComputedStyle(e).color).slice(0, 3)), b = lum(ground(e));
    return [e.innerText.slice(0, 40), (Math.max(a, b) + .05) / (Math.min(a, b) + .05)]; }).filter(x => x[1] < 4.5);
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_is_readable_and_photographed(browser: Browser, daemon: Daemon, shots: Path, dark: bool) -> None:
    tone = "dark" if dark else "light"
    browser.phone(dark=dark)
    browser.wait_for_page(f"{URL}/login", "#password")
    browser.picture(shots / f"login-{tone}.png")
    sign_in(browser)
    daemon_hears(daemon)
    for phase in ("open", "switching", "blocked", "offline", "closed"):
        problems = [CLOCK, {**CLOCK, "severity": "error"}] if phase == "blocked" else []
        daemon.change(phase=phase, active="Home" if phase == "open" else None, problems=problems)
        browser.wait(f"!!document.querySelector('.state.{phase}')")
        time.sleep(0.5)
        browser.picture(shots / f"{phase}-{tone}.png")
        assert browser.run(CONTRAST) == [], phase
    daemon.change(phase="open", active="Home", mode="manual")
    for page in ("/", "/add", "/history", "/password", "/remove?name=Home"):
        browser.open(URL + page)
        browser.picture(shots / f"page-{page.strip('/').split('?')[0] or 'whole'}-{tone}.png", whole=True)
        assert browser.run(CONTRAST) == [], page
    browser.open(f"{URL}/")
    browser.run("document.documentElement.dir = 'rtl'")
    browser.picture(shots / f"mirrored-{tone}.png")
    browser.tap(".menu summary")
    browser.picture(shots / f"menu-{tone}.png")
    browser.open(f"{URL}/")
    daemon.change(transports=[], active=None, phase="closed")
    browser.wait_for_text("Add your first way out")
    browser.picture(shots / f"empty-{tone}.png")
    assert browser.run(CONTRAST) == []
    assert browser.complaints() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_subscriptions_and_a_way_without_a_server_are_readable(
    browser: Browser, daemon: Daemon, shots: Path, dark: bool
) -> None:
    tone = "dark" if dark else "light"
    browser.phone(dark=dark)
    sign_in(browser)
    for state, one in {"none": None, **LISTS}.items():
        daemon.change(subscriptions=[one] if one else [])
        browser.open(f"{URL}/lists")
        browser.picture(shots / f"lists-{state}-{tone}.png", whole=True)
        assert browser.run(CONTRAST) == [], state
    for page in ("paste", "remove"):
        browser.open(f"{URL}/lists/{page}?name={LISTS['rtl']['name']}")
        browser.picture(shots / f"lists-{page}-{tone}.png", whole=True)
        assert browser.run(CONTRAST) == [], page
    nobody = transport("No server", kind="desync", builtin=True, latency_ms=460)
    missing = transport("Tor", "down", kind="tor", last_error="tor is not on this box; install Debian's package tor")
    of_list = transport("Aunt/🇩🇪 Berlin", subscription="Aunt")
    every = [nobody, missing, of_list]
    daemon.change(transports=every, active="No server", problems=[STRAIGHT], subscriptions=[LISTS["fine"]])
    browser.open(f"{URL}/")
    browser.tap("summary[data-key='summary No server']")
    browser.picture(shots / f"straight-{tone}.png", whole=True)
    assert browser.run(CONTRAST) == []
    assert browser.complaints() == []


def test_a_parent_updates_a_subscription_sees_what_is_new_and_takes_it(browser: Browser, daemon: Daemon) -> None:
    daemon.status["subscriptions"] = [LISTS["failed"]]
    sign_in(browser)
    browser.tap("[data-key=lists]")
    browser.wait_for_text("did not answer within 20 s")
    daemon_hears(daemon)
    browser.run("window.sameDocument = true")
    newer = subscription("Work", pending=news("Work", 17, 2))
    daemon.change(subscriptions=[newer])
    browser.wait_for_text("and 12 more")
    assert browser.run("window.sameDocument") is True, "no reload: it came by the stream"
    browser.tap("button[data-key='update Work']")
    browser.wait_for_text("“Work” is up to date.")
    browser.tap("button[data-key='confirm Work']")
    browser.wait_for_text("The newer list of “Work” is in use.")
    assert daemon.calls == [
        ("POST", "/subscriptions/Work/update", {}),
        ("POST", "/subscriptions/Work/confirm", {}),
    ]
    assert "2031" in browser.run("document.querySelector('time.day').innerText"), "a term has its year"
    assert [url for url in browser.requested() if not url.startswith((URL, "data:", "about:"))] == []
    assert browser.complaints() == []


def test_without_script_a_list_is_pasted_and_a_subscription_removed(browser: Browser, daemon: Daemon) -> None:
    daemon.status["subscriptions"] = [LISTS["waiting"]]
    browser.script(False)
    sign_in(browser)
    browser.open(f"{URL}/lists")
    browser.tap("[data-key='paste Uncle']")
    browser.wait("!!document.querySelector('#pasted')")
    browser.type("#pasted", "ss://one")
    browser.tap("main button")
    browser.wait_for_text("The list of “Uncle” is in use.")
    browser.tap("summary[data-key='summary Uncle']")
    browser.tap("[data-key='remove Uncle']")
    browser.wait_for_text("Remove “Uncle”?")
    browser.tap("main button")
    browser.wait_for_text("“Uncle” is removed")
    assert daemon.calls == [
        ("POST", "/subscriptions/Uncle/update", {"text": "ss://one"}),
        ("DELETE", "/subscriptions/Uncle", None),
    ]


def test_the_first_visit_asks_for_the_code_and_a_password(browser: Browser, tmp_path: Path, shots: Path) -> None:
    (tmp_path / "state" / "password").unlink()
    (tmp_path / "state" / "setup-secret").write_text("abcde-fghjk-mnpqr-stuvw\n")
    browser.wait_for_page(f"{URL}/", "#secret")
    browser.picture(shots / "setup-light.png")
    browser.type("#secret", "ABCDE FGHJK MNPQR STUVW")
    browser.type("#new", "password1234")
    browser.type("#again", "password1234")
    browser.tap("button")
    browser.wait_for_text("Too easy to guess")
    browser.picture(shots / "setup-refused-light.png")
    browser.type("#new", PASSWORD)
    browser.type("#again", PASSWORD)
    browser.tap("button")
    browser.wait_for_text("You are through")
