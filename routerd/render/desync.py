"""The exit `Queue`: straight out of the WAN, a flow's first packets by way of the worker (docs/desync.md).

What waits for the worker carries QUEUED_SLOT, and nothing lets that mark pass: no worker, or nobody who hands over to
it, means refused, never plain. What the worker lets go, and what it need not see, carries DESYNCED_SLOT.
"""

from __future__ import annotations

from collections.abc import Sequence

from routerd.model import DESYNCED_SLOT, FLOW_MASK, QUEUED_SLOT, SLOT_MASK, Launch, Queue, mark
from routerd.render.exits import by_user
from routerd.render.words import BACK, OUT, chain, ct_is, hexadecimal, is_, rule, set_mark, set_own_ct, slot_of
from routerd.render.words import rooms as vmap

HANDOVER = "clearway_queue"
CHAIN = "clearway-queue"  # in iptables' own tables
PORTS = "{ 80, 443 }"
YOUNG = 800  # bytes of the server, with headers: acknowledgements of a hello's pieces, and no answer yet
UNTIL = 14  # packets of the server, within which it says its first word, or a censor for it
FEW = 3  # of them, of a flow of datagrams
WORDS = "tcp flags & (syn | psh | rst) != 0"  # mere acknowledgements say nothing
SLOW = 40_000  # bytes of the server: a client that hangs up before is of interest, the flow may be held back by name


def slots(launches: Sequence[Launch]) -> list[int]:
    return [launch.slot for launch in launches if isinstance(launch.exit, Queue)]


def rooms(launches: Sequence[Launch]) -> list[str]:
    """`straight_N`: the way out of the WAN. `answers_N`: the way back."""
    return [
        text
        for slot in slots(launches)
        for text in (chain(f"straight_{slot}", _out(slot)), chain(f"answers_{slot}", _back(slot)))
    ]


def held() -> list[str]:
    """The first layer that lets nothing pass which no worker has seen; the guard is the second."""
    return [rule(f"{is_(QUEUED_SLOT)} drop", "no worker has seen it"), rule("accept", "judged elsewhere")]


def from_household(slot: int, lan: str, wan: str) -> list[str]:
    return [rule(f'iifname "{lan}" oifname "{wan}" goto straight_{slot}', "straight out")]


def to_household(lan: str, wan: str) -> list[str]:
    return [rule(f'iifname "{wan}" oifname "{lan}" ct state established,related accept', "answers, straight in")]


def own(launches: Sequence[Launch]) -> list[str]:
    """The box's own on the WAN: its probes and look-ups, and what the worker sends in the place of what it took."""
    return [
        *(
            rule(f"{is_(DESYNCED_SLOT)} {by_user(launch)} accept", "sent by the worker")
            for launch in launches
            if isinstance(launch.exit, Queue)
        ),
        *(rule(f"{is_(slot)} {set_own_ct(slot)} accept", "straight out") for slot in slots(launches)),
    ]


def leaving(wan: str, launches: Sequence[Launch]) -> list[str]:
    """The box's own, once it is known where it goes: in `output` what was rerouted still seems to go to `lo`."""
    doors = {hexadecimal(slot): f"goto straight_{slot}" for slot in slots(launches)}
    return [*vmap(f'oifname "{wan}" {slot_of("meta")}', doors, "straight out"), rule("accept", "judged elsewhere")]


def answers(launches: Sequence[Launch]) -> list[str]:
    return [
        rule(f"{ct_is(slot)} ct state established,related goto answers_{slot}", "answers, straight in")
        for slot in slots(launches)
    ]


def for_box(launches: Sequence[Launch]) -> list[str]:
    seen = rule(f"{is_(DESYNCED_SLOT)} ct state established,related accept", "answers, seen by the worker")
    return [seen] if slots(launches) else []


def handover(queues: Sequence[tuple[int, int]]) -> str:
    """Slots and queue numbers -> a table that hands over what waits. For kernels that know `queue`."""
    lines = [
        f'    {is_(QUEUED_SLOT)} {ct_is(slot)} queue num {number} comment "clearway: to the worker"'
        for slot, number in queues
    ]
    hooks = (("leaving", "postrouting"), ("arriving", "input"))
    chains = "\n".join(
        f"  chain {name} {{\n    type filter hook {hook} priority -150; policy accept;\n" + "\n".join(lines) + "\n  }"
        for name, hook in hooks
    )
    return f"table inet {HANDOVER} {{\n{chains}\n}}\n"


def iptables(queues: Sequence[tuple[int, int]], there: Sequence[str] = ()) -> str:
    """The same for iptables-restore --noflush, as a chain of its own. `there`: hooks that lead to one of before."""
    rules = [
        f"-A {CHAIN} -m mark --mark {_xt(mark(QUEUED_SLOT), SLOT_MASK)} "
        f"-m connmark --mark {_xt(mark(slot), FLOW_MASK)} -j NFQUEUE --queue-num {number}"
        for slot, number in queues
    ]
    jumps = [f"-A {hook} -j {CHAIN}" for hook in ("INPUT", "POSTROUTING")]
    gone = [f"-D {hook} -j {CHAIN}" for hook in there]
    body = [*rules, *gone, *jumps] if queues else [*gone, f"-F {CHAIN}", f"-X {CHAIN}"]
    return "\n".join(["*mangle", f":{CHAIN} - [0:0]", *body, "COMMIT", ""])


def _xt(value: int, mask: int) -> str:
    return f"0x{value:x}/0x{mask:x}"


def _out(slot: int) -> list[str]:
    return [
        rule(f'counter name "{OUT}{slot}"', "straight out"),
        rule("meta l4proto { tcp, udp } th dport 53 drop", "no name is asked for in clear"),
        _grown(),
        *_queued(f"tcp dport {PORTS} ct reply bytes < {YOUNG}", "a flow's first packets"),
        *_queued(f"tcp dport {PORTS} tcp flags & (fin | rst) != 0", "ended by the household, or given up"),
        *_queued(f"udp dport 443 ct reply packets <= {FEW}", "a flow's first packets"),
        rule(set_mark(DESYNCED_SLOT), "the worker need not see it"),
        rule("accept", "the worker need not see it"),
    ]


def _back(slot: int) -> list[str]:
    return [
        rule(f'counter name "{BACK}{slot}"', "straight in"),
        _grown(),
        *_queued(f"tcp sport {PORTS} {WORDS} ct reply packets <= {UNTIL}", "a flow's first answers, or a reset"),
        rule(set_mark(DESYNCED_SLOT), "the worker need not see it"),
        rule("accept", "the worker need not see it"),
    ]


def _grown() -> str:
    """Bulk comes no further than this."""
    return rule(f"ct reply bytes >= {SLOW} {set_mark(DESYNCED_SLOT)} accept", "the worker need not see it")


def _queued(what: str, why: str) -> list[str]:
    return [rule(f"{what} {set_mark(QUEUED_SLOT)} accept", why)]
