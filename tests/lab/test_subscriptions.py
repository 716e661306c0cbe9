"""Subscriptions on the wire: fetched through a transport, searched a few nodes at a time, and every list of 500 settles."""

import base64
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from routerd.render.policy import POLICY

from .box import Box, _descendants
from .fault import prove_the_detector
from .household import Pulse
from .lab import Lab
from .net import PATIENCE, wait_until
from .panel import TOKEN, Panel, start_panel

SERVERS = ["ss2022", "trojan", "ss", "vless-ws"]
ENGINES = ("sing-box", "sing_box", "xray", "wireguard-go")
MOST_ENGINES, MOST_MB, SETTLES = 8, 250, 60.0 * PATIENCE


@pytest.fixture(scope="module")
def panel(lab: Lab) -> Panel:
    return start_panel(lab.net, lab.ca)


@pytest.fixture
def home(lab: Lab) -> Iterator[Box]:
    with Box(lab, ["trojan"]) as box:
        box.wait_open()
        yield box


def subscribe(box: Box, panel: Panel, **more: object) -> dict[str, Any]:
    return box.ask("POST", "/subscriptions", {"name": "Aunt", "url": panel.url, **more}, 40)


def update(box: Box) -> dict[str, Any]:
    return box.ask("POST", "/subscriptions/Aunt/update", {}, 40)


def told(box: Box) -> dict[str, Any]:
    (found,) = box.status()["subscriptions"]
    return dict(found)


def alive(lab: Lab) -> list[str]:
    """Twelve nodes of four servers: by either address, or by name."""
    servers = [lab.server(name) for name in SERVERS]
    return [server.link_to(host) for server in servers for host in (server.address4, server.address6, server.hostname)]


def dead(lab: Lab, count: int) -> list[str]:
    """Nobody there, nobody listens, a wrong password, a name that is none; in turn."""
    made = []
    for number in range(count):
        place = (f"203.0.113.{100 + number % 100}:{8000 + number}", f"203.0.113.11:{20000 + number}",
                 lab.server("ss").address4 + ":8388", f"n{number}.dead.example:443")[number % 4]
        secret = base64.urlsafe_b64encode(f"aes-256-gcm:wrong{number}".encode()).decode().rstrip("=")
        made.append(f"ss://{secret}@{place}#dead%20{number}" if number % 3 else f"trojan://wrong{number}@{place}?sni=a.example#{number}")
    return made


def bundle(lab: Lab, seed: int = 7) -> str:
    """500 lines as a panel gives them: 12 nodes that work, 148 that do not, and all of them again and again."""
    dice = random.Random(seed)
    unique = alive(lab) + dead(lab, 148)
    lines = unique + [dice.choice(unique) for _ in range(500 - len(unique))]
    dice.shuffle(lines)
    return base64.b64encode("\n".join(lines).encode()).decode()


def engines(box: Box) -> list[int]:
    assert box.daemon
    return [pid for pid in _descendants(box.daemon.pid) if any(word in _command(pid) for word in ENGINES)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def proportional_mb(box: Box) -> float:
    """Of the daemon and all its children: each shared page is counted once."""
    assert box.daemon
    total = 0
    for pid in (box.daemon.pid, *_descendants(box.daemon.pid)):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1e6


def settled(box: Box, began: float) -> tuple[float, int, float, int]:
    """Seconds until two nodes are warm and no more are tried; the most engines and megabytes meanwhile; nodes tried."""
    most, heaviest, shown = 0, 0.0, set[str]()
    while time.monotonic() < began + SETTLES:
        most, heaviest = max(most, len(set(engines(box)))), max(heaviest, proportional_mb(box))
        status = box.ask("GET", "/status", seconds=20)
        nodes = {t["name"]: t["state"] for t in status["transports"] if t["name"].startswith("Aunt/")}
        shown |= nodes.keys()
        if list(nodes.values()) == ["up", "up"] and status["phase"] == "open":
            return time.monotonic() - began, most, heaviest, len(shown)
        time.sleep(0.3)
    raise AssertionError(f"not settled: {box.status()}")


def judged(box: Box, began: float, what: str) -> None:
    seconds, most, heaviest, tried = settled(box, began)
    found = told(box)
    print(f"{what}: {found['nodes']} nodes of 500 lines, settled in {seconds:.1f} s; {found['failed']} had failed, "
          f"{tried} were seen to run; at most {most} engines and {heaviest:.0f} MB")
    assert found["nodes"] == 160
    assert most <= MOST_ENGINES
    assert heaviest <= MOST_MB


def test_a_bundle_of_500_nodes_settles_behind_a_transport_that_is_up(lab: Lab, panel: Panel, home: Box) -> None:
    panel.say("list", bundle(lab))
    began = time.monotonic()
    subscribe(home, panel)
    judged(home, began, "beside a transport")


def test_a_bundle_of_500_nodes_settles_where_there_is_nothing_else(lab: Lab, panel: Panel) -> None:
    with Box(lab, []) as box:
        wait_until(box.socket.exists, 10, "the API")
        began = time.monotonic()
        subscribe(box, panel, text=bundle(lab, 8))
        judged(box, began, "alone")
        assert lab.page_token("blocked.example") in lab.phone.curl("https://blocked.example/", "-m", "5").stdout


def test_what_the_provider_says_is_shown_and_a_list_that_is_the_same_is_not_sent_again(
    lab: Lab, panel: Panel, home: Box
) -> None:
    panel.say("list", "\n".join(alive(lab)))
    subscribe(home, panel)
    home.wait(lambda s: s["subscriptions"][0]["nodes"] == 12)
    found = told(home)
    assert (found["host"], found["title"]) == ("panel.servers.example", "🌍 Aunt's")
    assert (found["used_bytes"], found["total_bytes"], found["expires"]) == (3 * 10**9, 10**10, "2100-01-01T00:00:00Z")
    assert update(home) == {"name": "Aunt"}
    last = panel.requests()[-1]
    assert last["if-none-match"]
    assert (last["user-agent"], last["peer"]) == ("v2rayN/7.13", lab.server("trojan").address4), "through the transport"
    assert told(home)["nodes"] == 12


def test_other_nodes_wait_for_the_owners_word_when_he_asks_for_that(lab: Lab, panel: Panel, home: Box) -> None:
    nodes = alive(lab)
    panel.say("list", "\n".join(nodes[:3]))
    subscribe(home, panel, confirm=True)
    home.wait(lambda s: s["subscriptions"][0]["nodes"] == 3)
    panel.say("list", "\n".join(nodes[1:4]))
    update(home)
    found = told(home)
    assert (found["nodes"], len(found["pending"]["added"]), len(found["pending"]["removed"])) == (3, 1, 1)
    assert any(p["code"] == "subscription_changed" for p in home.status()["problems"])
    assert home.ask("POST", "/subscriptions/Aunt/confirm") == {"name": "Aunt"}
    home.wait(lambda s: s["subscriptions"][0]["pending"] is None)
    assert "error" in home.ask("POST", "/subscriptions/Aunt/confirm")


def test_who_listens_hears_at_once_of_each_list_that_came_or_did_not(lab: Lab, panel: Panel, home: Box) -> None:
    """Six times: now and then something else happens, and he hears of it with that."""
    panel.say("list", "\n".join(alive(lab)[:3]))
    subscribe(home, panel)
    home.wait_warm(3)
    argv = ["curl", "-sSN", "--unix-socket", str(home.socket), "http://box/events"]
    file = lab.router.directory / "events.log"
    with lab.router.popen(argv, log="events") as listening:
        try:
            wait_until(lambda: file.exists() and "event: status" in file.read_text(), 5, "it listens")
            for mode, word in [("status 403", '"last_error": "'), ("list", '"last_error": null')] * 3:
                panel.say(mode)
                update(home)
                wait_until(lambda: told_last(file, word), 0.5, f"{mode}: {word}")
        finally:
            listening.kill()


def told_last(events: Path, word: str) -> bool:
    """Of the subscription, in the last Status whole."""
    status = [line for line in events.read_text().split("\n\n")[:-1] if line.startswith("event: status")][-1]
    return word in status.partition('"subscriptions"')[2]


def test_a_switch_to_a_node_carries_the_household_when_the_transport_is_gone(lab: Lab, panel: Panel, home: Box) -> None:
    panel.say("list", "\n".join(n for n in alive(lab) if n.startswith("ss://")))
    subscribe(home, panel)
    home.wait_warm(3)
    with Pulse(lab) as pulse:
        pulse.wait_ok(5)
        lab.server("trojan").stop()
        try:
            home.wait(lambda s: (s["active"] or "").startswith("Aunt/"), 10)
            pulse.wait_ok(5)
        finally:
            lab.server("trojan").start()


# -- the fault catalogue ------------------------------------------------------------------------------------------

WRONG = {
    "page": "web page", "empty": "no node", "garbage": "no node", "status 403": "status 403", "truncated": "",
    "unframed": "whole", "endless": "larger", "bomb": "", "redirect https://203.0.113.90/sub/a": "next",
}


def test_fault_62_whatever_the_panel_answers_the_list_before_stays(lab: Lab, panel: Panel, home: Box) -> None:
    panel.say("list", "\n".join(alive(lab)))
    subscribe(home, panel)
    home.wait(lambda s: s["subscriptions"][0]["nodes"] == 12)
    for mode, word in WRONG.items():
        panel.say(mode)
        began = time.monotonic()
        answer = update(home)
        assert "error" in answer, mode
        message = answer["error"]["message"]
        assert word in message, (mode, message)
        assert TOKEN not in message, mode
        assert time.monotonic() - began < 20, mode
        assert told(home)["nodes"] == 12, mode
        assert any(p["code"] == "subscription_failed" for p in home.status()["problems"]), mode
        assert home.status()["phase"] == "open", mode
    panel.say("gzip")
    assert update(home) == {"name": "Aunt"}
    assert told(home)["last_error"] is None


def test_fault_62_a_list_that_drips_is_given_up_in_time(lab: Lab, panel: Panel, home: Box) -> None:
    panel.say("list", "\n".join(alive(lab)))
    subscribe(home, panel)
    home.wait(lambda s: s["subscriptions"][0]["nodes"] == 12)
    panel.say("drip")
    began = time.monotonic()
    assert "within 20 s" in update(home)["error"]["message"]
    assert time.monotonic() - began < 25
    assert told(home)["nodes"] == 12


def test_fault_62_the_last_good_list_outlives_a_restart_and_is_the_owners_alone(lab: Lab, panel: Panel, home: Box) -> None:
    panel.say("list", "\n".join(alive(lab)))
    subscribe(home, panel)
    home.wait(lambda s: s["subscriptions"][0]["nodes"] == 12)
    (file,) = (home.folder / "state" / "subscriptions").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    panel.say("empty")
    asked = len(panel.requests())
    home.stop()
    home.start()
    home.wait(lambda s: s["phase"] == "open" and s["subscriptions"][0]["nodes"] == 12)
    assert len(panel.requests()) == asked, "a restart is no reason to ask again"


LEADS = (
    "file:///etc/passwd", "http://203.0.113.90/sub", "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/",
    "https://192.168.77.1/", "https://2130706433/", "https://0177.0.0.1/", "https://0x7f.1/",
    "https://[::ffff:192.168.77.1]/", "https://home.servers.example/", "gopher://203.0.113.90/", "data:text/plain,ss://x",
)


def test_fault_63_the_panel_leads_nowhere_but_to_the_internet(lab: Lab, panel: Panel, home: Box) -> None:
    panel.say("list", "\n".join(alive(lab)))
    subscribe(home, panel)
    home.wait(lambda s: s["subscriptions"][0]["nodes"] == 12)
    for place in LEADS:
        panel.say(f"redirect {place}")
        answer = update(home)
        assert "error" in answer, place
        assert told(home)["nodes"] == 12
    panel.say("once /sub/elsewhere")
    assert update(home) == {"name": "Aunt"}


def test_fault_63_the_ruleset_is_the_guarantee_not_the_parser(lab: Lab, home: Box) -> None:
    """A socket with an exit's mark gets neither to the household nor to the box itself."""
    script = """
import socket, sys
for host, port in (("192.168.77.11", 9), ("127.0.0.1", 9), ("192.168.77.1", 53)):
    sock = socket.socket()
    sock.settimeout(1)
    if int(sys.argv[1]):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, int(sys.argv[1]))
    try:
        sock.connect((host, port)); print("in")
    except OSError as e:
        print(type(e).__name__)
"""
    run = lambda mark: lab.router.run(["python3", "-c", script, str(mark)]).stdout.split()  # noqa: E731
    assert run(0) == ["ConnectionRefusedError", "ConnectionRefusedError", "in"], "without a mark all are reached"
    assert run(1 << 24) == ["TimeoutError"] * 3


def test_fault_64_a_subscription_is_never_fetched_in_clear(lab: Lab, panel: Panel) -> None:
    prove_the_detector(lab)
    panel.say("list", "\n".join(alive(lab)))
    asked = len(panel.requests())
    trojan = lab.server("trojan")
    trojan.stop()
    with Box(lab, ["trojan"], sources=()) as box:
        # Until then the kernel answers what still comes for the sockets of the box before with resets, as on any box.
        policy = ["nft", "list", "table", "inet", POLICY]
        wait_until(lambda: lab.router.run(policy, check=False).returncode == 0, 10, "the policy is in force")
        capture = lab.capture([trojan], tokens=[TOKEN])
        try:
            subscribe(box, panel)
            answer = update(box)
            assert "never fetched in clear" in answer["error"]["message"]
            box.wait(lambda s: any(p["code"] == "subscription_waits" for p in s["problems"]), 15)
            assert len(panel.requests()) == asked
        finally:
            verdict = capture.stop()
            trojan.start()
        assert verdict.clean, str(verdict)
        box.wait(lambda s: s["subscriptions"][0]["nodes"] == 12, 30)
        assert panel.requests()[-1]["peer"] == trojan.address4


def test_fault_66_nothing_but_transports_comes_out_of_a_list(lab: Lab, panel: Panel, home: Box) -> None:
    evil = ["ss://YWVzLTI1Ni1nY206cHc@192.168.77.1:53#home", "ss://YWVzLTI1Ni1nY206cHc@127.0.0.1:9090#loop",
            "trojan://x@router.lan:443#name", "external-controller: 0.0.0.0:9090", "script: rm -rf /", "[[transport]]"]
    panel.say("list", "\n".join([*evil, *alive(lab)[:3]]))
    before = home.config.read_text()
    subscribe(home, panel)
    home.wait(lambda s: s["subscriptions"][0]["nodes"] == 3)
    assert told(home)["rejected"] == len(evil)
    assert home.config.read_text().startswith(before.rstrip("\n"))
    assert TOKEN not in str(home.status())
    assert TOKEN not in str(home.ask("GET", "/log"))
