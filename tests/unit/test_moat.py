"""Moat's answers: what it is asked, what is taken, what is refused, and when a Tor gets other bridges."""

import json
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.links import bridges
from routerd.moat import (
    LONGEST,
    Refusal,
    fails,
    lines_of,
    merged,
    questions,
    read,
    recalled,
    shipped,
    works,
)
from routerd.model import Down, Health, Starting, State, Up
from routerd.settings import Entry, Settings, parse_settings
from routerd.subscriptions import changed
from routerd.table import SettingsError
from routerd.transports.tor import Tor

CERT = "cert=" + "A" * 70
OBFS4 = f"obfs4 198.51.100.7:443 {'AB' * 20} {CERT} iat-mode=0"
PLAIN = f"203.0.113.5:9001 {'CD' * 20}"
SNOWFLAKE = f"snowflake 192.0.2.3:80 {'EF' * 20} fingerprint={'EF' * 20} url=https://broker.example/ fronts=a.example ice=stun:stun.example:3478"
MEEK = "meek_lite 192.0.2.20:80 url=https://meek.example/ front=a.example"
SHIPPED = bridges([OBFS4.replace("198.51.100.7", "198.51.100.8"), SNOWFLAKE]).bridges
FILE = "\n".join(["# everybody's", *lines_of(SHIPPED)])
BASE = 'wan.interface = "a"\nlan.interface = "b"\nlan.address = "10.0.0.1/24"\n'
MOAT = '[[transport]]\nname = "t"\nkind = "tor"\nbridges = "moat"\n'


def setting(kind: str, *lines: str, source: str = "bridgedb") -> dict[str, object]:
    return {"bridges": {"type": kind, "source": source, "bridge_strings": list(lines)}}


def answer(*settings: object, **more: object) -> str:
    return json.dumps({"settings": list(settings), **more})


def parsed(text: str, file: str | None = FILE) -> Settings:
    def reader(path: str) -> str:
        if file is None or path != "bridges.txt":
            raise FileNotFoundError(path)
        return file

    return parse_settings(text, reader)


def test_every_kind_that_is_carried_is_taken_the_most_useful_first() -> None:
    found = read(answer(setting("snowflake", SNOWFLAKE), setting("obfs4", OBFS4), setting("vanilla", PLAIN), setting("meek", MEEK)))
    assert [one.by for one in found] == ["snowflake", "obfs4", "", "meek_lite"]
    assert recalled(lines_of(found)) == found


@pytest.mark.parametrize(
    "line",
    [
        f"webtunnel 198.51.100.9:443 {'AB' * 20} url=https://w.example/",
        OBFS4.replace("cert=", "sert="),
        OBFS4.replace("198.51.100.7", "192.168.77.1"),
        OBFS4.replace("198.51.100.7", "127.0.0.1"),
        OBFS4.replace("198.51.100.7", "bridge.example"),
        f"{OBFS4}\nLog debug file /etc/passwd",
        f"{OBFS4} exec=/bin/sh",
        "ClientTransportPlugin obfs4 exec /bin/sh",
        "",
        "x" * 5000,
    ],
)
def test_a_line_that_the_owner_could_not_give_either_is_left_out(line: str) -> None:
    assert read(answer(setting("obfs4", line, OBFS4))) == bridges([OBFS4]).bridges
    with pytest.raises(Refusal, match="no bridge"):
        read(answer(setting("obfs4", line)))


@pytest.mark.parametrize("junk", [None, 3, "x", [], {}, {"bridges": None}, {"bridges": {"type": 3}}, {"bridges": {"type": "obfs4", "bridge_strings": "x"}}])
def test_what_is_formed_otherwise_is_passed_over(junk: object) -> None:
    assert read(answer(junk, setting("obfs4", OBFS4))) == bridges([OBFS4]).bridges
    mixed = {"bridges": {"type": "obfs4", "source": 7, "bridge_strings": [junk, OBFS4]}}
    assert read(answer(mixed)) == bridges([OBFS4]).bridges


def test_what_everybody_has_is_taken_from_ours_where_the_answer_only_names_it() -> None:
    found = read(answer(setting("snowflake", source="builtin"), setting("obfs4", OBFS4)), SHIPPED)
    assert lines_of(found) == lines_of((SHIPPED[1], *bridges([OBFS4]).bridges))
    with pytest.raises(Refusal):
        read(answer(setting("snowflake", source="bridgedb")), SHIPPED)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not JSON"),
        ("<html>", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("9" * 5000, "not JSON"),
        ("[]", "not what Moat sends"),
        ("{}", "no bridge"),
        ('{"settings": {}}', "no bridge"),
        ('{"errors": [{"code": 404, "detail": "evil <b>"}]}', r"error \(404\)"),
        ('{"errors": "evil"}', "error"),
        (answer(setting("obfs4", OBFS4), padding="x" * LONGEST), "too long"),
    ],
)
def test_what_is_no_answer_is_refused_and_not_quoted(text: str, word: str) -> None:
    with pytest.raises(Refusal, match=word) as caught:
        read(text, SHIPPED)
    assert "evil" not in str(caught.value)


def test_no_more_bridges_are_taken_than_the_ruleset_has_room_for() -> None:
    many = [OBFS4.replace("198.51.100.7", f"198.51.100.{number}") for number in range(1, 90)]
    assert len(read(answer(setting("obfs4", *many, *many)))) == 32


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([OBFS4, PLAIN, "obfs4", "builtin"]),
                    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["settings", "bridges", "type", "source", "bridge_strings", "errors", "code"]) | st.text(), inner))


@given(st.text() | JSON.map(json.dumps) | st.lists(st.text() | st.text().map(lambda more: f"{OBFS4} {more}")).map(lambda lines: answer(setting("obfs4", *lines))))
def test_any_answer_gives_good_bridges_or_is_refused(text: str) -> None:
    try:
        found = read(text, SHIPPED)
    except Refusal:
        return
    for one in found:
        assert one.line.isascii() and one.line.isprintable()
        assert recalled([one.line]) == (one,)


def test_a_country_is_asked_about_first_and_the_defaults_next() -> None:
    one, two = questions("ir")
    assert (one.path, two.path) == ("/settings", "/defaults")
    assert json.loads(one.body)["country"] == "ir"
    assert "country" not in json.loads(two.body)
    assert {"obfs4", "snowflake", "meek_lite", "vanilla"} <= set(json.loads(one.body)["transports"])
    assert [each.path for each in questions("")] == ["/defaults"], "else it would take the exit's country for ours"


# -- the settings -------------------------------------------------------------------------------------------------


def test_until_there_is_an_answer_the_bridges_that_everybody_has_are_used() -> None:
    found = parsed(BASE + MOAT)
    entry = found.transports["t"]
    assert (entry.moat, entry.transport) == (True, Tor(SHIPPED))
    assert shipped(found) == SHIPPED
    assert not found.own_ladder


@pytest.mark.parametrize("file", [None, "", "# nothing\n"])
def test_without_any_bridge_it_is_refused_for_tor_in_the_open_was_not_asked_for(file: str | None) -> None:
    with pytest.raises(SettingsError, match=r"^transport\[0\]\.bridges: .*bridges\.txt"):
        parsed(BASE + MOAT, file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BASE + MOAT.replace('"moat"', '"moats3cr3t"'), r"^transport\[0\]\.bridges: "),
        (BASE + MOAT.replace('"moat"', '["moat"]'), r"^transport\[0\]\.bridges: "),
        (BASE + MOAT.replace('kind = "tor"\n', ""), r"^transport\[0\]\.uri: "),
        (BASE + MOAT + "foo = 1\n", r"^transport\[0\]\.foo: unknown key"),
        (BASE + 'wan.country = "iran"\n', r"^wan\.country: 'iran' is not"),
        (BASE + 'wan.country = "İ1"\n', r"^wan\.country: "),
        (BASE + 'tor.moat = "http://moat.example/"\n', r"^tor\.moat: "),
        (BASE + 'tor.moats = "https://moat.example/"\n', r"^tor\.moats: unknown key"),
    ],
)
def test_what_is_wrong_is_refused_by_its_key(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        parsed(text)
    assert "s3cr3t" not in str(caught.value)


def test_the_country_and_another_moat_are_taken() -> None:
    found = parsed(BASE + 'wan.country = "IR"\ntor.moat = "https://moat.example/circumvention/"\n' + MOAT)
    assert (found.country, found.moat) == ("ir", "https://moat.example/circumvention")
    assert parsed(BASE).moat == "https://bridges.torproject.org/moat/circumvention"


# -- which bridges are used, and when -----------------------------------------------------------------------------

FRESH = bridges([OBFS4]).bridges
ENTRIES = {"t": Entry("t", Tor(SHIPPED), moat=True), "own": Entry("own", Tor(SHIPPED))}
HOME = Settings("a", "b", IPv4Interface("10.0.0.1/24"), transports=MappingProxyType(ENTRIES))


def test_an_answer_changes_those_that_want_it_and_no_other() -> None:
    after = merged(HOME, FRESH)
    assert (after.transports["t"].transport, after.transports["own"].transport) == (Tor(FRESH), Tor(SHIPPED))
    assert changed(HOME, after) == {"t"}
    assert merged(HOME, ()) == HOME


@pytest.mark.parametrize(
    ("health", "failing"),
    [(None, False), (Starting(0.0), False), (Up(0.0, 1.0), False), (Starting(0.0, failures=1), True), (Down(9.0, 1, "no"), True)],
)
def test_it_is_asked_again_when_tor_has_shown_that_it_does_not_work(health: Health | None, failing: bool) -> None:
    state = State(health={"t": health, "own": Down(9.0, 1, "no")} if health else {})
    assert fails(HOME, state) is failing
    assert works(HOME, state) is isinstance(health, Up)
    off = replace(HOME, transports=MappingProxyType({"t": replace(ENTRIES["t"], enabled=False)}))
    assert not fails(off, state)


def test_the_shipped_file_is_enough_for_it() -> None:
    text = (Path(__file__).parents[2] / "routerd" / "data" / "bridges.txt").read_text()
    assert {one.by for one in shipped(parsed(BASE + MOAT, text))} == {"obfs4", "snowflake", "meek_lite"}
