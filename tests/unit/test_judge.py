"""The lab's censors see what they should, and are misled by what should mislead them: each rule against our own strategies.

The packets are those that the product would send, as bytes on the wire; a way there with five routers is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from routerd.desync.decoys import client_hello
from routerd.desync.grammar import parse
from routerd.desync.packet import ACK, SYN, TCP, UDP, Packet, build
from routerd.desync.play import Flight, Path, play
from routerd.desync.quic import initial
from tests.lab import nations, packets
from tests.lab.censor import Censor
from tests.lab.judge import SLOW, SWALLOW, Decision, Judge, Rule
from tests.unit.test_desync_packet import ENDS4, ENDS6

BAD, GOOD = "blocked.example", "open.example"
NAMES = (BAD,)
CLIENT, SERVER = (1 << 32) - 6, 77  # the client's numbers pass zero soon after a hello's begin
STAMPS = bytes.fromhex("0101080a0000200000000001")
RST, FIN = 0x04, 0x01


def hello(name: str = BAD) -> bytes:
    return client_hello(517, b"", name.encode())


def request(name: str = BAD) -> bytes:
    return f"GET / HTTP/1.1\r\nHost: {name}\r\nAccept: */*\r\n\r\n".encode()


@dataclass(slots=True)
class Line:
    """A client, and the judge on its way to the server."""

    judge: Judge
    ends: tuple[bytes, bytes] = ENDS4
    port: int = 40000
    now: float = 100.0
    decisions: list[Decision] = field(default_factory=list)

    @classmethod
    def of(cls, *rules: Rule, ends: tuple[bytes, bytes] = ENDS4) -> Line:
        judge = Judge()
        judge.set(rules)
        return cls(judge, ends)

    def packet(self, flags: int, payload: bytes = b"", offset: int = 0) -> Packet:
        seq, ack = (CLIENT + offset) & 0xFFFFFFFF, 0 if flags & SYN else SERVER
        return Packet(*self.ends, TCP, self.port, 443, payload, seq, ack, flags, 65535, 63, STAMPS)

    def pass_by(self, *sent: Packet) -> list[Decision]:
        """What is decided about these."""
        read = [packets.parse(build(one)) for one in sent]
        self.decisions = [self.judge.decide(one, self.now) for one in read if one]
        return self.decisions

    def begin(self) -> list[Decision]:
        return self.pass_by(self.packet(SYN), self.packet(ACK, offset=1))

    def say(self, payload: bytes, strategy: str = "") -> bool:
        """A new connection that says this by the strategy; whether the censor lets it be."""
        self.port += 1
        before = self.begin()
        first = self.packet(ACK, payload, 1)
        sent = play(parse(strategy), Flight(first, first.seq, payload, 1400), Path(5)) if strategy else (first,)
        return set(before + self.pass_by(*sent)) == {Decision()}


SNI = Rule("sni", "blackhole", NAMES)
FIRST, FIRST_COPY = replace(SNI, look="first"), replace(SNI, look="first_copy")
ORDER, LAST_COPY, APPEND = (replace(SNI, look=look) for look in ("order", "last_copy", "append"))
SPLIT, SWAPPED = "split(1,midsld)", "split(1,midsld) disorder"
STRICT = replace(FIRST_COPY, checksum=True, window=True, md5=True)
HOST = Rule("host", "blackhole", NAMES)


@pytest.mark.parametrize("rule", [SNI, FIRST, FIRST_COPY, ORDER, LAST_COPY, APPEND, STRICT], ids=str)
@pytest.mark.parametrize("ends", [ENDS4, ENDS6], ids=["v4", "v6"])
def test_whatever_its_look_a_plain_hello_is_seen_and_another_name_is_not(rule: Rule, ends: tuple[bytes, bytes]) -> None:
    line = Line.of(rule, ends=ends)
    assert not line.say(hello()) and not line.say(hello("www." + BAD))
    assert line.say(hello(GOOD)) and line.say(hello("un" + BAD)) and line.say(request())


@pytest.mark.parametrize(
    ("rule", "misleads", "does_not"),
    [
        (SNI, SPLIT, "fake(hello,ttl)"),
        (FIRST, "fake(hello,md5)", "split(-1)"),
        (APPEND, "overlap(336) split(2,midsld)", SPLIT),
        (ORDER, SWAPPED, SPLIT),
        (FIRST_COPY, "fake(hello,ttl)", SWAPPED),
        (FIRST_COPY, "fake(hello,oldts)", "overlap(3) split(2,midsld)"),
        (FIRST_COPY, "around(ttl) split(1,midsld)", "split(1,2,3,midsld) disorder"),
        (LAST_COPY, "around(ttl) split(1,midsld)", "fake(hello,ttl)"),
        (replace(FIRST_COPY, checksum=True), "fake(hello,ttl)", "fake(hello,badsum)"),
        (replace(FIRST_COPY, md5=True), "fake(hello,ttl)", "fake(hello,md5)"),
        (replace(FIRST, window=True), "fake(hello,ttl)", "fake(hello,badseq)"),
        (replace(FIRST_COPY, window=True), "fake(hello,oldts)", "fake(hello,badack)"),
        (replace(FIRST_COPY, window=True), "fake(hello,md5)", "fake(hello,noack)"),
        (STRICT, "fake(hello,ttl)", "fake(hello,md5) split(1,midsld) disorder"),
        (replace(FIRST_COPY, most=10), "fake(zeros,ttl,x12) split(1,midsld)", "split(1,2,3,midsld)"),
        (replace(FIRST_COPY, most=10), "split(1,2,3,4,5,6,7,8,9,10,11,midsld)", SWAPPED),
        (HOST, "split(host+1)", "hostcase"),
        (HOST, "split(host+1)", "hostspace"),
        (replace(HOST, exact=True), "hostcase", "fake(http,ttl)"),
        (replace(HOST, exact=True), "hostspace", "split(-1)"),
    ],
    ids=str,
)
def test_each_look_has_what_misleads_it_and_what_does_not(rule: Rule, misleads: str, does_not: str) -> None:
    payload = hello() if rule.see == "sni" else request()
    line = Line.of(rule)
    assert not line.say(payload)
    assert not line.say(payload, does_not), f"{does_not} misled it"
    assert line.say(payload, misleads), f"{misleads} did not mislead it"


def test_of_a_flow_that_is_older_than_the_censor_each_packet_is_seen_by_itself() -> None:
    line = Line.of(FIRST_COPY)
    assert line.pass_by(line.packet(ACK, hello(), 9000)) == [Decision(mark=SWALLOW)]


def test_resets_go_to_whom_the_rule_says_and_as_often() -> None:
    def injected(**how: object) -> list[packets.Packet]:
        line = Line.of(replace(Rule("sni", "reset", NAMES), **how))  # type: ignore[arg-type]
        assert not line.say(hello())
        [decision] = line.decisions
        assert not decision.drop and decision.mark == 0 and all(one.flags & RST for one in decision.inject)
        return list(decision.inject)

    client, server = ENDS4
    assert [one.dst for one in injected()] == [client, server]
    assert [one.dst for one in injected(to="client", times=3)] == [client] * 3
    assert [one.dst for one in injected(to="server")] == [server]
    to_client, to_server = injected()
    assert to_client.seq == SERVER and to_server.seq == CLIENT + 1


def test_a_drop_takes_the_packet_and_its_repeat_and_leaves_the_flow() -> None:
    line = Line.of(replace(SNI, do="drop"))
    assert not line.say(hello())
    sent = line.packet(ACK, hello(), 1), line.packet(ACK, b"more", 600)
    assert line.pass_by(*sent) == [Decision(drop=True), Decision()]


def test_a_throttled_flow_carries_its_rate_in_its_mark() -> None:
    line = Line.of(replace(SNI, do="throttle", rate=650))
    assert not line.say(hello()) and line.decisions == [Decision(mark=SLOW | 650)]


def test_a_page_answers_in_the_servers_name_and_resets_the_server() -> None:
    line = Line.of(Rule("host", "page", NAMES, page=302))
    assert not line.say(request())
    [decision] = line.decisions
    page, reset = decision.inject
    assert (page.src, page.dst, page.seq, page.ack) == (ENDS4[1], ENDS4[0], SERVER, (CLIENT + 1 + len(request())) & 0xFFFFFFFF)
    assert page.flags & FIN and page.payload.startswith(b"HTTP/1.1 302 Found\r\nLocation: ")
    assert (reset.dst, reset.flags & RST) == (ENDS4[1], RST) and decision.mark == SWALLOW


def test_a_delayed_silence_lets_so_many_packets_pass_first() -> None:
    line = Line.of(replace(SNI, after=3))
    assert line.say(hello())
    after = line.pass_by(*(line.packet(ACK, b"", 518) for _ in range(4)))
    assert after == [Decision()] * 3 + [Decision(mark=SWALLOW)]
    assert line.say(hello(GOOD)) and line.pass_by(*[line.packet(ACK)] * 5) == [Decision()] * 5


@pytest.mark.parametrize("do", ["reset", "blackhole"])
def test_what_was_caught_is_remembered_for_a_while_and_no_other_server_suffers(do: str) -> None:
    line = Line.of(replace(SNI, do=do, residual=60))
    assert line.say(hello(GOOD)) and not line.say(hello()) and not line.say(hello(GOOD))
    line.port += 1
    syn, ack = line.begin()
    assert (syn == Decision()) is (do == "reset") and ack != Decision()
    line.ends = ENDS4[0], bytes([198, 51, 100, 99])
    assert line.say(hello(GOOD))
    line.ends, line.now = ENDS4, 161.0
    assert line.say(hello(GOOD)), "60 s are over"


def test_rules_that_are_taken_away_remember_nobody() -> None:
    rule = replace(SNI, residual=60)
    line = Line.of(rule)
    assert not line.say(hello())
    line.judge.set(())
    line.judge.set((rule,))
    assert line.say(hello(GOOD))


def udp(payload: bytes, port: int = 443) -> Packet:
    return Packet(*ENDS4, UDP, 50000, port, payload)


def test_a_quic_initial_is_opened_and_its_name_read() -> None:
    line = Line.of(Rule("quic", "drop", NAMES))
    dropped, passed = line.pass_by(udp(initial(b"a", BAD.encode())), udp(initial(b"b", GOOD.encode())))
    assert (dropped, passed) == (Decision(drop=True), Decision())
    assert Line.of(Rule("quic", "drop", NAMES)).pass_by(udp(b"\0" * 1200)) == [Decision()]


def test_who_looks_at_the_first_datagram_alone_is_misled_by_another_before_it() -> None:
    rule = Rule("quic", "blackhole", NAMES, look="first")
    bad, other = udp(initial(b"a", BAD.encode())), udp(initial(b"b"))
    assert Line.of(rule).pass_by(other, bad) == [Decision()] * 2
    assert Line.of(rule).pass_by(bad) == [Decision(mark=SWALLOW)]
    assert Line.of(replace(rule, look="packet")).pass_by(other, bad)[1] == Decision(mark=SWALLOW)


def test_a_rule_for_quic_without_names_is_about_every_initial_and_nothing_else() -> None:
    line = Line.of(Rule("quic", "drop"))
    assert line.pass_by(udp(initial(b"a")), udp(b"\x40" * 1200)) == [Decision(drop=True), Decision()]


def test_a_query_is_answered_by_a_lie_before_it_goes_on() -> None:
    query = bytes.fromhex("123401000001000000000000") + b"\7blocked\7example\0\0\1\0\1"
    line = Line.of(Rule("dns", "lie", NAMES, ("127.0.0.1",)))
    asked, other = line.pass_by(udp(query, 53), udp(query.replace(b"blocked", b"allowed"), 53))
    [lie] = asked.inject
    assert not asked.drop and other == Decision()
    assert (lie.dst, lie.sport, lie.dport, lie.payload[:2], lie.payload[-4:]) == (ENDS4[0], 53, 50000, query[:2], b"\x7f\0\0\1")


def caught(censors: tuple[Censor, ...], payload: bytes, strategy: str = "") -> bool:
    return not Line.of(*(censor.rule for censor in censors if censor.rule)).say(payload, strategy)


ALL = {
    "china": nations.china(NAMES),
    "iran": nations.iran(NAMES),
    "iran strict": nations.iran_strict(NAMES),
    "russia": nations.russia(NAMES),
    "russia throttle": (nations.russia_throttle(NAMES),),
    "russia silent": (nations.russia_silent(NAMES),),
    "russia joining": (nations.russia_joining(NAMES),),
    "india": nations.india(NAMES),
    "kazakhstan": nations.kazakhstan(NAMES),
    "turkmenistan": nations.turkmenistan(NAMES),
}


@pytest.mark.parametrize(
    ("nation", "helps", "does_not"),
    [
        ("china", "fake(hello,ttl)", SWAPPED),
        ("china", "fake(hello,badsum)", "fake(hello,badseq)"),
        ("iran", SPLIT, "fake(hello,ttl)"),
        ("iran strict", "fake(hello,md5)", "fake(hello,badsum)"),
        ("iran strict", SWAPPED, SPLIT),
        ("russia", SPLIT, "fake(hello,ttl)"),
        ("russia throttle", SPLIT, "fake(hello,ttl)"),
        ("russia throttle", "fake(zeros,ttl,x20)", "fake(zeros,ttl,x12)"),
        ("russia silent", SPLIT, "fake(hello,ttl)"),
        ("russia joining", "fake(hello,ttl)", SWAPPED),
        ("india", SPLIT, "fake(hello,ttl)"),
        ("kazakhstan", SPLIT, "fake(hello,ttl)"),
        ("turkmenistan", SPLIT, "fake(hello,ttl)"),
    ],
)
def test_each_nation_catches_a_name_spares_another_and_has_a_way_around(nation: str, helps: str, does_not: str) -> None:
    assert caught(ALL[nation], hello()) and not caught(ALL[nation], hello(GOOD))
    assert caught(ALL[nation], hello(), does_not) and not caught(ALL[nation], hello(), helps)


@pytest.mark.parametrize("nation", ["china", "iran", "iran strict", "india", "kazakhstan", "turkmenistan"])
def test_nations_that_read_requests_too_spare_other_hosts(nation: str) -> None:
    assert caught(ALL[nation], request()) and not caught(ALL[nation], request(GOOD))
    assert caught(ALL[nation], request(), "hostcase") is (nation != "india")
