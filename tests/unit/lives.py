"""Any life of a household, and what must hold at every step of it."""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address
from typing import get_args

from hypothesis import strategies as st

from routerd.alarms import DEAF, deaf_until
from routerd.evidence import LEAVE
from routerd.excuses import steady
from routerd.ladder import HOLD_DOWN, MOST
from routerd.model import (
    LAST_SLOT,
    SHARED_SLOTS,
    Carried,
    ClockSet,
    Configured,
    Dated,
    Diagnosing,
    Direct,
    Doubted,
    Down,
    Drifted,
    Event,
    Exited,
    Finding,
    Leased,
    Misapplied,
    Probed,
    Progressed,
    Refuse,
    Resolved,
    Starting,
    State,
    Suspected,
    Tick,
    Up,
    WanChanged,
    Wished,
)
from routerd.plan import choice
from routerd.rests import REST
from routerd.search import HASTE
from routerd.settings import Settings
from routerd.watchdog import deadline, step
from tests.unit.stories import TROJAN, bad, good, household, subscribed

NODES = [str(number) for number in range(1, 41)]
NAMES = ["a", "b", "c", "d"]
FINDINGS: tuple[Finding, ...] = get_args(Finding)
name = st.sampled_from([*NAMES, "stranger", "sub/1", "sub/2", "sub/3"])
events: st.SearchStrategy[Event] = st.one_of(
    st.just(Configured()),
    st.just(Tick()),
    st.builds(Wished, st.none() | name),
    st.builds(Exited, name, st.just("ended")),
    st.builds(Probed, name, st.none() | st.floats(1, 3000), st.just("timed out"), st.sampled_from(FINDINGS)),
    st.builds(Suspected, name, st.sampled_from(sorted(DEAF))),
    st.builds(Carried, name, st.sampled_from(["udp", "ipv6"]), st.booleans()),
    st.builds(WanChanged, st.booleans()),
    st.builds(Resolved, st.just("a.example"), st.just((ip_address("192.0.2.9"),)) | st.just(())),
    st.builds(Drifted, st.just("routes")),
    st.builds(Dated, st.floats(1e9, 2e9)),
    st.builds(Doubted),
    st.builds(ClockSet, st.floats(-1e9, 1e9)),
    st.builds(Misapplied, st.just("ruleset"), st.sampled_from(["", "no"])),
)
alone = st.builds(
    lambda names, off, standby, order: household(*names, disabled=off, standby=standby, order=order),
    st.lists(st.sampled_from(NAMES), unique=True),
    st.sets(st.sampled_from(NAMES), max_size=2),
    st.integers(0, 8),
    st.sampled_from(["listed", "fastest"]),
)
households = alone | st.builds(
    lambda settings, count, keep: subscribed(settings, *NODES[:count], keep=keep), alone, st.integers(0, 6), st.integers(1, 2)
)
pauses = st.sampled_from([0.0, 0.1, 1.0, 3.0, 13.0, 61.0, 1e6])
stories = st.lists(st.tuples(pauses, events, st.none() | households), max_size=25)


def assert_sane(settings: Settings, state: State, now: float) -> None:
    ups = {name for name, health in state.health.items() if isinstance(health, Up)}
    assert state.active is None or state.active in ups
    assert_slots(settings, state)
    assert set(state.health) <= {entry.name for entry in settings.enabled}
    if state.wish is not None:
        assert state.wish in settings.transports
        assert state.active in (None, state.wish)
    if ups and state.wish in {None, *ups}:
        assert state.active is not None, "stuck while something is up"
    for name, health in state.health.items():
        assert isinstance(health, Down) or ups.issuperset(state.beneath(name)), "inside what is not up"
        assert not (isinstance(health, Up) and health.points >= LEAVE)
        assert not (isinstance(health, Down) and health.until > now + REST)
        assert isinstance(health, Down) or health.since <= now
        if isinstance(health, Up) and health.owed and not health.points and steady(state, now):
            assert now < (until := deaf_until(health, health.owed)), "owed, and not listened to"
            assert (deadline(state, now) or until) <= until, "nobody wakes the loop for it"
    due = deadline(state, now)
    assert due is None or due > now
    assert_closed(settings, state, bool(ups))


def assert_slots(settings: Settings, state: State) -> None:
    """A transport of the file has one for ever, a node while it runs; no two have the same; few run at once."""
    own = {name for name, entry in settings.transports.items() if not entry.group}
    running = {name for name, health in state.health.items() if not isinstance(health, Down)}
    assert own | running <= set(state.slots) <= set(settings.transports)
    assert len(set(state.slots.values())) == len(state.slots)
    first = LAST_SLOT - SHARED_SLOTS + 1
    assert all((slot >= first if n not in own else 1 <= slot) and slot <= LAST_SLOT for n, slot in state.slots.items())
    assert len(running) <= MOST
    tried = [n for n in running - own if isinstance(state.health[n], Starting)]
    assert len(tried) <= HASTE + 1, "few are tried at once; and the one that the owner asked for"


def assert_closed(settings: Settings, state: State, any_up: bool) -> None:
    """New flows go into the active one's slot alone, with a line; in clear only by the owner's word, where none is up."""
    chosen = choice(settings, state, state.slots if state.active else {})
    if state.active is not None and state.wan_up:
        assert chosen == state.slots[state.active]
    elif isinstance(chosen, Direct):
        assert settings.on_failure == "direct"
        assert not any_up
        assert state.wish is None
        assert state.health, "not before anything was tried"
    else:
        assert chosen == Refuse()


def assert_evidence(before: State, state: State, event: Event, now: float) -> None:
    """No transport that is up is left without a reason: the owner's word, or another one that has proved better."""
    left = before.active
    if left is None or left == state.active or isinstance(event, Wished | Configured):
        return
    now_down = state.health.get(left)
    if not isinstance(now_down, Up):
        assert isinstance(event, Exited | Probed), "only what was seen of it convicts"
        assert event.name in (left, *state.beneath(left))
        assert isinstance(state.health[event.name], Down)
        assert event.name == left or now_down is None, "blamed for what it travels inside"
        return
    assert state.active is not None
    other = state.health[state.active]
    assert isinstance(other, Up)
    assert other.points == 0
    assert not other.failures or now >= other.since + HOLD_DOWN


def assert_nobody_is_punished_for_the_line(before: State, state: State, event: Event) -> None:
    if not before.wan_up and not state.wan_up and not isinstance(event, Exited):
        down_before = {name for name, health in before.health.items() if isinstance(health, Down)}
        assert {name for name, health in state.health.items() if isinstance(health, Down)} <= down_before


def assert_no_slot_is_taken_over(before: State, state: State) -> None:
    """Of a node that runs, nobody takes the slot; nor of one that ran just now, for its flows are not cut yet."""
    for name, slot in before.slots.items():
        if name in state.slots:
            assert state.slots[name] == slot or not name.startswith("sub/") or name not in state.health
    ran = {before.slots[n]: n for n, h in before.health.items() if not isinstance(h, Down) and n.startswith("sub/")}
    for name, slot in state.slots.items():
        assert ran.get(slot, name) == name or ran[slot] not in state.slots, "it was a node's until now"


def live(settings: Settings, story: Iterable[tuple[float, Event, Settings | None]]) -> None:
    """Lives through a story and looks at every step of it."""
    state, now = step(settings, State(), Configured(), 0.0), 0.0
    for pause, event, other in story:
        now += pause
        if other is not None:
            settings, event = other, Configured()
        before, state = state, step(settings, state, event, now)
        assert_sane(settings, state, now)
        assert_no_slot_is_taken_over(before, state)
        assert_evidence(before, state, event, now)
        assert_nobody_is_punished_for_the_line(before, state, event)


def any_household(dice: random.Random) -> Settings:
    names = dice.sample(NAMES, dice.randrange(5))
    off = [n for n in names if dice.random() < 0.1]
    order, on_failure = dice.choice(["listed", "fastest"]), dice.choice(["block", "direct"])
    plain = household(*names, disabled=off, standby=dice.choice([0, 1, 2, 3, 8]), order=order, on_failure=on_failure)
    # Inside an earlier one of the draw, so that nothing goes round in a circle.
    via = {n: dice.choice(names[:i]) for i, n in enumerate(names) if i and dice.random() < 0.2}
    made = replace(plain, transports={n: replace(e, via=via.get(n, "")) for n, e in plain.transports.items()})
    if dice.random() < 0.5:
        return made
    return subscribed(made, *NODES[: dice.choice([0, 1, 3, 40])], keep=dice.randrange(1, 5))


def any_event(dice: random.Random) -> Event:
    who = dice.choice(WHO)
    return dice.choice(KINDS)(dice, who)


WHO, SIGNS = [*NAMES, "stranger", *(f"sub/{number}" for number in NODES[:8])], sorted(DEAF)
KINDS: list[Callable[[random.Random, str], Event]] = [
    *[lambda dice, who: good(who, dice.uniform(1, 3000))] * 4,
    *[lambda dice, who: bad(who, dice.choice(FINDINGS))] * 4,
    *[lambda dice, who: Suspected(who, dice.choice(SIGNS))] * 2,
    lambda dice, who: good(who, sign=dice.choice(SIGNS)),
    lambda dice, who: Carried(who, dice.choice(["udp", "ipv6"]), dice.random() < 0.5),
    lambda dice, who: Exited(who, "ended"),
    lambda dice, who: Progressed(who, dice.randrange(101)),
    lambda dice, who: Wished(dice.choice([who, None])),
    lambda dice, who: WanChanged(dice.random() < 0.7),
    lambda dice, who: Tick(),
    lambda dice, who: Resolved(dice.choice(["a.example", TROJAN.server]), ()),
    lambda dice, who: Leased(dice.choice([(), (ip_address("192.0.2.53"),)])),
    lambda dice, who: Configured(frozenset({who})),
    lambda dice, who: Misapplied("ruleset", dice.choice(["", "no"])),
    lambda dice, who: Diagnosing(dice.choice([None, 1.0, 1e5])),
    lambda dice, who: dice.choice([Dated(1.8e9), Doubted(), ClockSet(dice.choice([-1e9, 60.0])), Drifted("routes")]),
]
# Time stands still, goes on, or jumps; backwards it goes on no monotonic clock, and yet nothing may come of it.
PAUSES = [0.0, 0.0, 0.1, 0.5, 1.0, 3.0, 13.0, 61.0, 1e6, -0.5, -61.0, -1e6]


def any_life(seed: int) -> None:
    dice = random.Random(seed)
    settings = any_household(dice)
    story = (
        (dice.choice(PAUSES), any_event(dice), any_household(dice) if dice.random() < 0.03 else None) for _ in range(30)
    )
    try:
        live(settings, story)
    except Exception as e:
        e.add_note(f"in the life of seed {seed}")
        raise
