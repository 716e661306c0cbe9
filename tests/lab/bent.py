"""The desync matrix: every censor of the lab that reads packets, and how long it holds up a household without any server.

python -m tests.lab.bent            each row on a fresh box: found?, seconds to the first page, to the next, the strategy
python -m tests.lab.bent --plain    the censors alone, on a router that only forwards: each must hold a plain page back
python -m tests.lab.bent --only WORD
python -m tests.lab.bent --far 4    with so many routers more behind the censor

A row is a censor that some strategy beats (BEATABLE), one that needs none because the page comes another way (PLAIN),
or one that nothing beats at packet level (HOPELESS), which has to be said within 30 s. Where a censor shuts out for a
minute whom it has caught, a client with one address alone waits for that long by nature: such rows have 3 s.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from subprocess import CompletedProcess
from typing import Any

from . import censor, nations, plain_router
from .box import Box
from .censor import Censor, seen
from .distance import farther
from .fault import FIREWALL_OFF
from .judge import Rule
from .lab import Lab
from .topology import SITE

HOST, OTHER = "blocked.example", "open.example"
NAMES, HERE = [HOST], SITE[HOST]
BOTH = [HERE.address4, HERE.address6]
BEATABLE, PLAIN, HOPELESS = "beatable", "plain", "hopeless"
TRY, AGAIN, LONGEST = 5, 0.2, 40.0  # seconds: of one try of the household's, between two, for a row
GIVEN_UP, P50, P95 = 30.0, 5.0, 15.0  # seconds asked for
NOTHING_HELPS = ("it needs a transport with a server", "nobody answers there at all")  # how routerctl says it
BULKY = f"https://{HOST}/blob/256000"
STRICT = {"checksum": True, "window": True, "md5": True}
TABLE = '[[transport]]\nname = "none"\nkind = "desync"\n'


@dataclass(frozen=True, slots=True)
class Row:
    """`flags`: curl's: the family, where there is one alone."""

    name: str
    kind: str
    censors: tuple[Censor, ...]
    url: str = f"https://{HOST}/"
    flags: tuple[str, ...] = ()


def rows() -> list[Row]:
    http = f"http://{HOST}/"
    own = [
        Row("SNI reset, packet by packet", BEATABLE, (censor.sni_reset(NAMES),)),
        Row("SNI reset, packet by packet, IPv6", BEATABLE, (censor.sni_reset(NAMES),), flags=("-6",)),
        Row("SNI reset, reassembling", BEATABLE, (censor.sni_reset(NAMES, True),)),
        Row("SNI reset, reassembling, IPv6", BEATABLE, (censor.sni_reset(NAMES, True),), flags=("-6",)),
        Row("SNI silence, packet by packet", BEATABLE, (censor.sni_blackhole(NAMES),)),
        Row("SNI silence, reassembling", BEATABLE, (censor.sni_blackhole(NAMES, True),)),
        Row("SNI silence, reassembling, IPv6", BEATABLE, (censor.sni_blackhole(NAMES, True),), flags=("-6",)),
        Row("Host reset, packet by packet", BEATABLE, (censor.host_reset(NAMES),), http),
        Row("Host reset, reassembling", BEATABLE, (censor.host_reset(NAMES, True),), http),
        Row("DNS lies", PLAIN, (censor.dns_lies(NAMES),)),
        Row("DNS lies and SNI reset", BEATABLE, (censor.dns_lies(NAMES), censor.sni_reset(NAMES, True))),
        Row("QUIC dropped", PLAIN, (censor.quic_drop(),)),
        Row("address dropped", HOPELESS, (censor.ip_drop(BOTH),)),
        Row("address reset", HOPELESS, (censor.reset_injected(HERE.address4), censor.reset_injected(HERE.address6))),
        Row("forged certificate", HOPELESS, (censor.forged_certificate(HERE.address4), censor.ip_drop([HERE.address6]))),
    ]
    eyes = [
        Row("first packet alone", BEATABLE, (sni("reset", look="first"),)),
        Row("in order alone", BEATABLE, (sni("blackhole", look="order", window=True),)),
        Row("pieces joined as they come", BEATABLE, (sni("reset", look="append"),)),
        Row("all joined, the last copy counts", BEATABLE, (sni("reset", look="last_copy"),)),
        Row("all joined, checksums computed", BEATABLE, (sni("reset", look="first_copy", checksum=True),)),
        Row("all joined, numbers heeded", BEATABLE, (sni("reset", look="first_copy", window=True),)),
        Row("all joined, signed ones passed over", BEATABLE, (sni("reset", look="first_copy", md5=True),)),
        Row("all joined, all of these", BEATABLE, (sni("blackhole", look="first_copy", **STRICT),)),
        Row("all joined, gives up after 15 packets", BEATABLE, (sni("reset", look="first_copy", most=15, **STRICT),)),
        Row("resets, and 60 s for all that follow", BEATABLE, (sni("reset", residual=60),)),
        Row("silence, and 60 s for all that follow", BEATABLE, (sni("blackhole", residual=60),)),
        Row("Host compared byte by byte", BEATABLE, (seen("exact host", Rule("host", "reset", tuple(NAMES), exact=True)),), http),
    ]
    lands = [
        Row("China: HTTPS", BEATABLE, nations.china(NAMES)),
        Row("China: HTTPS, IPv6 alone, 3 s", BEATABLE, nations.china(NAMES, 3), flags=("-6",)),
        Row("China: HTTP", BEATABLE, nations.china(NAMES), http),
        Row("China: QUIC", PLAIN, (nations.china_quic(NAMES),)),
        Row("Iran: HTTPS", BEATABLE, nations.iran(NAMES)),
        Row("Iran: HTTP", BEATABLE, nations.iran(NAMES), http),
        Row("Iran: HTTPS, a box that follows TCP", BEATABLE, nations.iran_strict(NAMES)),
        Row("Russia: HTTPS, SNI-I and QUIC", BEATABLE, nations.russia(NAMES)),
        Row("Russia: SNI-II, silence after some packets", BEATABLE, (nations.russia_delayed(NAMES),), BULKY),
        Row("Russia: SNI-III, throttled by name", BEATABLE, (nations.russia_throttle(NAMES, 650),), BULKY),
        Row("Russia: SNI-IV, silence", BEATABLE, (nations.russia_silent(NAMES),)),
        Row("Russia: pieces joined, since 2024", BEATABLE, (nations.russia_joining(NAMES),)),
        Row("India: HTTPS", BEATABLE, nations.india(NAMES)),
        Row("India: HTTP, a page", BEATABLE, nations.india(NAMES), http),
        Row("India: HTTP, a redirect", BEATABLE, nations.india(NAMES, 302), http),
        Row("Kazakhstan: HTTPS", BEATABLE, nations.kazakhstan(NAMES)),
        Row("Kazakhstan: HTTP, a page", BEATABLE, nations.kazakhstan(NAMES), http),
        Row("Turkmenistan: HTTPS", BEATABLE, nations.turkmenistan(NAMES)),
        Row("Turkmenistan: HTTPS, IPv6 alone, 3 s", BEATABLE, nations.turkmenistan(NAMES, 3), flags=("-6",)),
        Row("Turkmenistan: HTTP", BEATABLE, nations.turkmenistan(NAMES), http),
    ]
    return [*own, *eyes, *lands]


def sni(do: str, **how: Any) -> Censor:
    """Residual censors remember whom they caught; the others have an eye that is one of judge.py's."""
    return seen(f"sni {do} {how}", Rule("sni", do, tuple(NAMES), **how))


@dataclass(frozen=True, slots=True)
class Outcome:
    """`found`: yes, plain or no. Seconds; None where the page never came."""

    found: str
    first: float | None
    then: float | None
    strategy: str


def page(lab: Lab, row: Row) -> bool:
    """The page's own word; of bulk, all of it."""
    answer = lab.laptop.curl(row.url, *row.flags, "-m", str(TRY))
    return answer.returncode == 0 and (len(answer.stdout) >= 256000 if row.url == BULKY else lab.page_token(HOST) in answer.stdout)


def seconds_to(lab: Lab, row: Row, longest: float) -> float | None:
    """As a browser does, that tries again when a connection was reset."""
    began = time.monotonic()
    while time.monotonic() - began < longest:
        if page(lab, row):
            return time.monotonic() - began
        time.sleep(AGAIN)
    return None


def tried(lab: Lab, row: Row) -> Outcome:
    """On a fresh box: nothing is known to it but that its canary opens."""
    lab.router.sh(FIREWALL_OFF)
    with Box(lab, (), extra=TABLE) as box:
        box.wait_open("none")
        with lab.censor(*row.censors):
            if row.kind == HOPELESS:
                return given_up(box)
            first = seconds_to(lab, row, LONGEST)
            then = seconds_to(lab, row, 10.0) if first is not None else None
            known = box.ask("GET", "/desync")["known"]
    found = "no" if first is None else "yes" if known else "plain"
    return Outcome(found, first, then, ", ".join(one["strategy"] for one in known))


def given_up(box: Box) -> Outcome:
    """How long it takes to be told that nothing helps. An owner asks again where a search was cut off: the canary is
    this site, so the transport may be begun anew in the middle of it.
    """
    began = time.monotonic()
    while True:
        done = searched(box)
        took = time.monotonic() - began
        if done.returncode == 0:
            return Outcome("yes", None, None, done.stdout)
        if told(done.stderr) or took > GIVEN_UP:
            return Outcome("no", took, None, done.stderr.strip())
        time.sleep(AGAIN)


def told(words: str) -> bool:
    return any(one in words for one in NOTHING_HELPS)


def searched(box: Box) -> CompletedProcess[str]:
    ctl = [str(Path(sys.executable).parent / "routerctl"), "--socket", str(box.socket), "desync", "search", HOST]
    return box.lab.router.run(ctl, timeout=60, check=False)


def right(row: Row, outcome: Outcome) -> bool:
    match row.kind:
        case "beatable":
            return outcome.found == "yes"
        case "plain":
            return outcome.found == "plain"
        case _:
            return told(outcome.strategy) and outcome.first is not None and outcome.first <= GIVEN_UP


def shown(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"


def matrix(lab: Lab, asked: Sequence[Row]) -> int:
    print(f"{'censor':52} {'wanted':9} {'found':6} {'first':>6} {'next':>6}  strategy")
    wrong, needed = [], []
    for row in asked:
        outcome = tried(lab, row)
        lab.censor.clear()
        print(f"{row.name:52} {row.kind:9} {outcome.found:6} {shown(outcome.first):>6} {shown(outcome.then):>6}  {outcome.strategy}", flush=True)
        wrong += [] if right(row, outcome) else [row.name]
        needed += [LONGEST if outcome.first is None else outcome.first] if row.kind == BEATABLE else []
    p50, p95 = percentiles(needed)
    print(f"{len(needed)} rows that need a strategy: first page (never: {LONGEST:.0f} s) after {p50:.1f} s at p50, {p95:.1f} s at p95 (asked: {P50:.0f}, {P95:.0f})")
    print(f"wrong: {', '.join(wrong)}" if wrong else "right in every row")
    return 1 if wrong or p50 > P50 or p95 > P95 else 0


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    if len(seconds) < 2:
        return (seconds[0], seconds[0]) if seconds else (0.0, 0.0)
    cut = quantiles(seconds, n=20, method="inclusive")
    return cut[9], cut[18]


def plainly(lab: Lab, asked: Sequence[Row]) -> int:
    """That each censor censors: without us a page comes only where the row says that it needs no strategy, and another
    site's always does.
    """
    wrong = []
    for row in asked:
        with plain_router(lab), lab.censor(*row.censors):
            spared = lab.page_token(OTHER) in lab.laptop.curl(row.url.replace(HOST, OTHER, 1).removesuffix("blob/256000"), *row.flags).stdout
            loads = page(lab, row)
        lab.censor.clear()
        good = spared and loads is (row.kind == PLAIN and "DNS" not in row.name)
        shows = f"{'loads' if loads else 'held back'}{'' if spared else ', and so is another site'}"
        print(f"{'ok   ' if good else 'WRONG'} {row.name:52} {shows}", flush=True)
        wrong += [] if good else [row.name]
    return 1 if wrong else 0


@contextmanager
def standing(far: int) -> Iterator[Lab]:
    with Lab.up(()) as lab:
        lab.censor.forge()
        if far:
            farther(lab, far)
        yield lab


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.bent")
    parser.add_argument("--plain", action="store_true", help="the censors alone, on a router that only forwards")
    parser.add_argument("--only", default="", help="rows with this word in their name")
    parser.add_argument("--far", type=int, default=0, help="so many routers more behind the censor")
    arguments: Any = parser.parse_args()
    asked = [row for row in rows() if arguments.only.lower() in row.name.lower()]
    with standing(arguments.far) as lab:
        return plainly(lab, asked) if arguments.plain else matrix(lab, asked)


if __name__ == "__main__":
    sys.exit(main())
