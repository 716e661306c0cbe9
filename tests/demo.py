"""make demo: the main job end to end, in the lab. Every line that it prints was measured just then.

Without routerd the censored site fails in three ways; with it the site opens, and stays open while the censor blocks
the transport, the engine is killed and another tool flushes the ruleset. The capture's verdict comes last.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from tests.lab import censor
from tests.lab.antitest import KINDS, anti_test, plain_router
from tests.lab.box import Box
from tests.lab.capture import Capture
from tests.lab.household import Load, Pulse
from tests.lab.lab import Lab

SITE, ADDRESS, ADDRESS6 = "blocked.example", "198.51.100.10", "2001:db8:51::10"
TRANSPORTS = ["vless-reality", "ss2022", "hysteria2", "wireguard"]
URL = f"https://{SITE}/"
BEGAN = time.monotonic()
FAILED: list[str] = []


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--keep", action="store_true", help="leave it up, with the page")
    keep = parser.parse_args().keep
    heading("Build the lab: household, censor, internet and four transport servers")
    lab = Lab.up(TRANSPORTS)
    with lab:
        show_the_detector(lab)
        show_the_censor(lab)
        capture = lab.capture([lab.server(name) for name in TRANSPORTS], [lab.token])
        lab.censor.on(censor.dns_lies([SITE]), censor.sni_reset([SITE]), censor.ip_drop([ADDRESS, ADDRESS6]))
        with Box(lab, TRANSPORTS, standby=3) as box:
            show_the_way_through(lab, box, capture)
            if keep:
                play(lab, box)
    print(f"\n{'All of it as it should be' if not FAILED else 'NOT as it should be: ' + '; '.join(FAILED)}.")
    return 1 if FAILED else 0


def show_the_detector(lab: Lab) -> None:
    heading("Can the leak detector see a leak? (a plain router, no Clearway)")
    kinds = anti_test(lab)
    expect(kinds >= KINDS, f"it reports {', '.join(sorted(kinds & KINDS))}")


def show_the_censor(lab: Lab) -> None:
    heading(f"{SITE} from the phone, without routerd")
    lies = censor.dns_lies([SITE])
    with plain_router(lab), lab.censor(lies):
        answer = lab.phone.dig(SITE)
        expect(ADDRESS not in answer, f"dig {SITE}: {answer} (a lie; the true address is {ADDRESS})")
    with plain_router(lab), lab.censor(censor.sni_reset([SITE])):
        told = lab.phone.curl(URL, "--resolve", f"{SITE}:443:{ADDRESS}", "-m", "4")
        expect(told.returncode == 35, f"curl to its true address: {told.stderr.strip()}")
    with plain_router(lab), lab.censor(censor.ip_drop([ADDRESS, ADDRESS6])):
        told = lab.phone.curl(URL, "--resolve", f"{SITE}:443:{ADDRESS}", "-m", "3")
        expect(told.returncode == 28, f"curl, its address dropped: {told.stderr.strip()}")


def show_the_way_through(lab: Lab, box: Box, capture: Capture) -> None:
    heading(f"The same with routerd, and all three censors on; transports: {', '.join(TRANSPORTS)}")
    seconds = box.wait_open(TRANSPORTS[0])
    say(f"open through {TRANSPORTS[0]} after {seconds:.1f} s; all four warm after {box.wait_warm(4):.1f} s more")
    open_the_site(lab)
    with Load(lab) as load:
        block_the_transport(lab, box)
        kill_the_engine(lab, box)
        flush_the_ruleset(lab, box)
        counts = load.counts()
    heading("The capture on the ISP's wire, from before routerd started until now")
    say(f"household packets and connections meanwhile: sent {counts.sent}, answered {counts.answered}")
    verdict = capture.stop()
    expect(verdict.clean, str(verdict))


def open_the_site(lab: Lab) -> None:
    for family, what in (("-4", "TCP over IPv4"), ("-6", "TCP over IPv6")):
        answer = lab.phone.curl(URL, family)
        title = answer.stdout.strip().splitlines()[0] if answer.stdout.strip() else answer.stderr.strip()
        expect(lab.page_token(SITE) in answer.stdout, f"{what}: {title}")
    answers = lab.phone.dig(SITE)
    expect(answers == [ADDRESS], f"dig {SITE}: {answers} (true)")
    for address in (ADDRESS, ADDRESS6):
        reply = lab.phone.call(partial(_udp, address))
        expect(b"hello" in reply, f"UDP to {address}: {len(reply)} bytes came back")


def _udp(address: str) -> bytes:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.sendto(b"hello", (address, 7))
        return sock.recv(2048)


def block_the_transport(lab: Lab, box: Box) -> None:
    active = str(box.status()["active"])
    server = lab.server(active)
    heading(f"The censor drops the server of {active}, while the phone fetches twice a second")
    gone = censor.ip_drop([server.address4, server.address6])
    strike(lab, box, partial(lab.censor.on, gone), active, 10)


def kill_the_engine(lab: Lab, box: Box) -> None:
    active = str(box.status()["active"])
    port = "1230" + str(TRANSPORTS.index(active) + 1)
    heading(f"The engine of {active} is killed (SIGKILL)")
    strike(lab, box, partial(_kill, box, port), active, 5)


def _kill(box: Box, port: str) -> None:
    assert box.daemon
    argv = ["nsenter", "-t", str(box.daemon.pid), "-n", "ss", "-Hltnp", f"sport = :{port}"]
    listeners = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    for pid in {int(part.split(",")[0]) for part in listeners.split("pid=")[1:]}:
        os.kill(pid, signal.SIGKILL)


def flush_the_ruleset(lab: Lab, box: Box) -> None:
    heading("Another tool runs `nft flush ruleset` and `ip rule flush`, ten times")
    for _ in range(10):
        lab.router.sh("nft flush ruleset; ip rule flush; ip rule add from all lookup main priority 32766")
        time.sleep(0.2)
    box.wait_open()
    began = time.monotonic()
    while not (loads := lab.page_token(SITE) in lab.phone.curl(URL).stdout) and time.monotonic() - began < 3:
        time.sleep(0.2)
    expect(loads, "put back each time; the site opens")


def strike(lab: Lab, box: Box, do: Callable[[], object], active: str, limit: float) -> None:
    with Pulse(lab, URL, interval=0.5) as pulse:
        pulse.wait_ok(5)
        do()
        box.wait(lambda s: s["phase"] == "open" and s["active"] != active, 20, "another transport")
        pulse.wait_ok(10)
    now = box.status()["active"]
    gap = max(0.0, pulse.longest() - pulse.interval)
    expect(gap <= limit, f"now through {now}; seconds without service at the phone: {gap:.1f} (limit {limit:.0f})")


def play(lab: Lab, box: Box) -> None:
    """The page on this machine's loopback; engines and servers stay in the lab's namespaces."""
    state = box.folder / "web"
    argv = [sys.executable, "-m", "webui", "--socket", str(box.socket), "--state-dir", str(state)]
    page = subprocess.Popen([*argv, "--listen", "127.0.0.1:8080"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if (state / "setup-secret").exists():
                break
            time.sleep(0.1)
        print(f"\nThe page:      http://127.0.0.1:8080   setup code: {(state / 'setup-secret').read_text().strip()}")
        print(f"The owner:     .venv/bin/routerctl --socket {box.socket} status")
        print(f"The phone:     sudo {' '.join(lab.phone.argv(['bash']))}   then: curl {URL}")
        for name in TRANSPORTS:
            print(
                f"Block {name}: sudo {' '.join(lab.isp.argv(['ip', 'route', 'add', 'blackhole', lab.server(name).address4]))}"
            )
        print("Ctrl-C ends all of it.", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        page.terminate()
        page.wait(10)


def heading(text: str) -> None:
    print(f"\n[{time.monotonic() - BEGAN:5.1f} s] {text}", flush=True)


def say(text: str) -> None:
    print(f"    {text}", flush=True)


def expect(good: bool, text: str) -> None:
    say(f"{'ok  ' if good else 'FAIL'} {text}")
    if not good:
        FAILED.append(text)


if __name__ == "__main__":
    sys.exit(main())
