"""Which strategy a site gets: what was found to work for it, or its neighbours; else none. Pure, and in memory alone.

Sites are known by a keyed hash of their names, so that neither a core dump nor a look into this process tells whom the
household visits. What works plain is never touched.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import ip_address

from routerd.desync.flow import Ask, Kind, Sign
from routerd.desync.grammar import parse
from routerd.desync.prior import QUIC
from routerd.desync.steps import Strategy

MOST = 2048  # sites
ENOUGH = 2  # failures in a row, after which what worked is searched for anew
FORGET = 60.0  # seconds after which a failure is a first one again
BREATH = 10.0  # seconds until a search that came to nothing may be begun again
FINE = 600.0  # seconds for which a site that works plain is left in peace
REST, LONGEST_REST = 60.0, 1800.0  # seconds until one that nothing helps is tried again; doubled each time
HELD = 8.0  # seconds, at most, that a site is held back while it is looked for
CAUGHT = ("reset", "silent")  # signs that leave no doubt that its plain hello is of no use
RESIDUAL = 180.0  # seconds for which China keeps a pair of ends silent once it was caught: no decoy helps before
WON = 6  # strategies that worked last: what is tried first

Site = bytes


@dataclass(slots=True)
class Known:
    """`text`: of the strategy, empty for none. `fine`, `rests`: until then no search."""

    text: str = ""
    strategy: Strategy = ()
    failures: int = 0
    failed_at: float = 0.0
    fine: float = 0.0
    rests: float = 0.0
    rest: float = REST
    searching: bool = False
    held_until: float = 0.0

    def fail(self, now: float) -> None:
        self.failures = self.failures + 1 if now - self.failed_at < FORGET else 1
        self.failed_at = now


@dataclass(slots=True)
class Choice:
    """`fixed`: the owner's own strategy, for every site; None: what is found. `key`: secret, of this run alone."""

    fixed: Strategy | None
    key: bytes = field(repr=False)
    trials: Sequence[Strategy] = ()
    won: list[str] = field(default_factory=list)
    _sites: OrderedDict[Site, Known] = field(default_factory=OrderedDict)

    def of(self, ask: Ask, now: float) -> Strategy | None:
        """None: to be held back, since what would let it through is being looked for. Its client asks again by itself,
        and whom it shows the name to meanwhile might shut the site's other addresses off.
        """
        if ask.trial:
            return self.trials[ask.trial - 1] if ask.trial <= len(self.trials) else ()
        if self.fixed is not None:
            return self.fixed
        if ask.kind == "quic":
            return QUIC_FIRST if self._of("tls", ask).strategy else self._of("quic", ask).strategy
        known = self._of(ask.kind, ask)
        return None if known.searching and now < known.held_until else known.strategy

    def heard(self, ask: Ask) -> None:
        if (known := self._sites.get(self.site(ask.kind, ask))) and not ask.trial:
            known.failures = 0

    def failed(self, sign: Sign, ask: Ask, now: float) -> bool:
        """Whether to search now. `slow` of a client is as good as the others: the search looks for itself."""
        if ask.trial or self.fixed is not None:
            return False
        if ask.kind == "quic":
            self._quic_failed(ask, now)
            return False
        known = self._remember(ask.kind, ask)
        known.fail(now)
        needed = ENOUGH if known.strategy else 1
        if known.searching or known.failures < needed or now < max(known.fine, known.rests):
            return False
        known.searching = True
        known.held_until = now + HELD if sign in CAUGHT else 0.0
        return True

    def _quic_failed(self, ask: Ask, now: float) -> None:
        """Browsers have TCP, so that it need not be quick: decoys from now on, and plain again if they help no more."""
        known = self._remember("quic", ask)
        if now < max(known.fine, known.rests) or self._of("tls", ask).strategy:
            return
        known.fail(now)
        if not known.strategy:
            known.text, known.strategy, known.fine = QUIC[0], QUIC_FIRST, now + RESIDUAL
        elif known.failures >= ENOUGH:
            known.text, known.strategy = "", ()
            known.rests, known.rest = now + known.rest, min(LONGEST_REST, 2 * known.rest)

    def found(self, ask: Ask, text: str | None, now: float, *, plain: bool = False) -> None:
        """A search's end: what works, or that it works plain, or (None) that nothing does."""
        known = self._remember(ask.kind, ask)
        known.searching, known.failures = False, 0
        if plain:
            known.text, known.strategy, known.fine = "", (), now + FINE
        elif text is None:  # what it has stays: where nothing else helps it does no harm, and did help before
            known.rests, known.rest = now + known.rest, min(LONGEST_REST, 2 * known.rest)
        else:
            known.text, known.strategy, known.rest = text, parse(text), REST
            self.won = [text, *(one for one in self.won if one != text)][:WON]

    def interrupted(self, ask: Ask, now: float) -> None:
        """The search came to no end, or nobody answered at all: it may be the line."""
        known = self._remember(ask.kind, ask)
        known.searching, known.rests = False, now + BREATH

    def using(self, ask: Ask) -> str:
        return self._of(ask.kind, ask).text

    def counts(self) -> dict[str, int]:
        """For each strategy in use, for how many sites."""
        found: dict[str, int] = {}
        for known in self._sites.values():
            if known.text:
                found[known.text] = found.get(known.text, 0) + 1
        return found

    def site(self, kind: Kind, ask: Ask) -> Site:
        name = group(ask.host) if ask.host else str(ip_address(ask.address))
        return blake2b(f"{kind} {name}".encode(), key=self.key, digest_size=12).digest()

    def _of(self, kind: Kind, ask: Ask) -> Known:
        return self._sites.get(self.site(kind, ask)) or NOTHING

    def _remember(self, kind: Kind, ask: Ask) -> Known:
        site = self.site(kind, ask)
        if site not in self._sites and len(self._sites) >= MOST:
            self._sites.popitem(last=False)
        return self._sites.setdefault(site, Known())


NOTHING = Known()
QUIC_FIRST = parse(QUIC[0])


def group(host: str) -> str:
    """What is blocked together: the name that somebody registered, by rule of thumb (example.co.uk has three parts)."""
    labels = host.rsplit(".", 3)
    if len(labels) < 3 or host.replace(".", "").isdigit() or ":" in host:
        return host
    short = len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3:] if short else labels[-2:])
