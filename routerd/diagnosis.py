"""From evidence to the cause: what the network does to one host, or to a transport's server. Pure.

Theory. The censor sees what the provider's customer sends, so each stage is tried twice at the same time: the
*experiment* goes out as it is, as the customer's would; the *control* goes through a transport. What fails in the
experiment and works in the control is done by the network in between; what fails in both is the site's own fault, and
nobody is blamed for it (OONI's Web Connectivity, spec ts-017). Within the experiment there is a second control: the
same address is shown an innocuous name (`cover`). Only the name differs, so that needs no transport.

The stages build upon each other: line, names, TCP, TLS, then what is sent inside. The first that is disturbed is the
cause; those behind it would only show its consequences. Hence one table, read from the top; the first row that fits is
the verdict. A control that could not be tried (`untried`) proves nothing: only rows that do without it may fit then.

Loss is not censorship. A stage counts as disturbed only when each of several tries was (probe/stages.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address, ip_network
from types import MappingProxyType
from typing import Any, Literal, cast, get_args, get_type_hints

from routerd.problems import GOES_THROUGH, VERDICTS

Line = Literal["up", "no_carrier", "no_lease"]
Told = Literal["yes", "no", "untried"]
Control = Literal["ok", "failed", "untried"]
Names = Literal["ok", "lied", "silent", "untried"]
Tcp = Literal["ok", "silent", "refused", "untried"]
Cover = Literal["ok", "silent", "reset", "untried"]
Tls = Literal["ok", "silent", "reset", "forged", "dated", "untried"]
Http = Literal["ok", "other", "silent", "reset", "untried"]
Body = Literal["ok", "frozen", "slow", "untried"]
Udp = Literal["ok", "silent", "untried"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One word for each thing that was tried. The defaults say that it was not.

    `opens` and those that end in `_opens` are the control; it has `failed` only if a reference came through the same
    transport meanwhile: else the transport is at fault, and there was no control.
    """

    subject: Literal["host", "server"] = "host"
    line: Line = "up"  # carrier, and an address with a default route
    portal: Told = "untried"  # plain HTTP to a reference got something else
    clock: Literal["right", "wrong", "untried"] = "untried"  # wrong: every certificate is outside of its dates
    abroad: Udp = "untried"  # any of the references
    domestic: Udp = "untried"  # the provider's resolver, for whatever name
    dns: Names = "untried"  # what the provider's resolver says, compared with DoH through the exit
    tcp: Tcp = "untried"
    cover: Cover = "untried"  # TLS with an innocuous name: `ok` is any answer of a server
    tls: Tls = "untried"
    body: Body = "untried"
    http: Http = "untried"  # port 80; `other`: not the page that the control got
    udp: Udp = "untried"
    opens: Control = "untried"
    body_opens: Control = "untried"
    http_opens: Control = "untried"
    udp_opens: Control = "untried"

    @classmethod
    def of(cls, words: Mapping[str, str]) -> Evidence:
        """From field -> word. ValueError for a word that the field does not have."""
        for name, word in words.items():
            if word not in WORDS.get(name, ()):
                raise ValueError(f"{name} is never {word!r}")
        return cls(**cast(dict[str, Any], words))


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that was tried, for a person to read. `way`: direct, or a transport's name."""

    stage: str
    way: str
    ok: bool
    detail: str
    ms: int


@dataclass(frozen=True, slots=True)
class Through:
    """Whether the whole site came through this transport, and how long that took."""

    transport: str
    ok: bool
    ms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    code: str
    title: str
    explanation: str
    cure: str


@dataclass(frozen=True, slots=True)
class Row:
    """`when`: field of Evidence -> the words that fit."""

    code: str
    when: Mapping[str, frozenset[str]]


def row(code: str, **when: str) -> Row:
    return Row(code, MappingProxyType({name: frozenset(words.split()) for name, words in when.items()}))


TABLE: tuple[Row, ...] = (
    # the line: disturbs everything, so it comes first; a transport that works shows that the line does
    row("wan_down", line="no_carrier"),
    row("no_lease", line="no_lease"),
    row("captive_portal", portal="yes", opens="untried"),
    row("clock_wrong", clock="wrong"),
    row("national_network_only", abroad="silent", domestic="ok", tcp="silent refused untried", opens="untried"),
    row("wan_down", abroad="silent", domestic="silent untried", tcp="silent refused untried", opens="untried"),
    # the control failed too: the site's own fault. Some sites speak plain HTTP alone
    row("server_dead_for_everyone", subject="server", opens="failed"),
    row("block_page", opens="failed", tls="silent reset forged dated untried", http="other", http_opens="ok"),
    row("http_blocked", opens="failed", tls="untried", tcp="refused", http="silent reset", http_opens="ok"),
    row("not_blocked", opens="failed", tls="untried", tcp="refused", http="ok", http_opens="ok"),
    row("not_blocked", opens="failed", tls="ok"),
    row("target_down", opens="failed"),
    # names
    row("dns_tampered", dns="lied"),
    row("dns_tampered", dns="silent", domestic="ok", opens="ok"),
    # a server that is reached by UDP: TCP to the same address tells a blocked address from a blocked protocol
    row("ip_blocked", subject="server", udp="silent", tcp="silent", opens="ok"),
    row("udp_blocked", subject="server", udp="silent", tcp="ok refused untried", opens="ok"),
    row("not_blocked", subject="server", udp="ok"),
    # TCP, then TLS
    row("port_blocked", tcp="silent refused", http="ok other", opens="ok"),
    row("ip_blocked", tcp="silent refused", opens="ok"),
    row("tcp_reset_on_sni", tls="reset", cover="ok"),
    row("silent_drop_after_clienthello", tls="silent", cover="ok"),
    row("ip_blocked", tls="reset", cover="reset", opens="ok"),
    row("tcp_reset_on_sni", tls="reset", opens="ok"),
    row("silent_drop_after_clienthello", tls="silent", opens="ok"),
    row("tls_intercepted", tls="forged", opens="ok"),
    # inside of TLS, and beside it
    row("frozen_after_n_kb", body="frozen", body_opens="ok"),
    row("throttled", body="slow", body_opens="ok"),
    row("block_page", http="other", http_opens="ok"),
    row("http_blocked", http="silent reset", http_opens="ok"),
    row("udp_blocked", udp="silent", udp_opens="ok"),
    row("not_blocked", tls="ok"),
    row("not_blocked", subject="server", tcp="ok", tls="untried"),
    row("inconclusive"),
)

WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {f.name: get_args(get_type_hints(Evidence)[f.name]) for f in fields(Evidence)}
)

# What somebody on the way does on purpose. The rest is the line's fault, the site's, or nobody's.
BLAMES = frozenset(
    {
        *("dns_tampered", "ip_blocked", "port_blocked", "tcp_reset_on_sni", "silent_drop_after_clienthello"),
        *("tls_intercepted", "frozen_after_n_kb", "throttled", "block_page", "http_blocked", "udp_blocked"),
    }
)

EXPLANATIONS: Mapping[str, str] = {
    "wan_down": "Neither the provider's network nor anything behind it answers.",
    "no_lease": "The cable carries a signal, but the box has no address or no route from the provider.",
    "captive_portal": "Plain HTTP to a well-known page was answered with something else, and nothing goes through.",
    "clock_wrong": "Every certificate lies outside of its dates, which is only so when the box's date is wrong.",
    "national_network_only": "The provider's own network answers, and nothing abroad does, for any site.",
    "dns_tampered": "The provider's resolver does not give the address that an encrypted look-up gives.",
    "ip_blocked": "The address cannot be connected to directly, whatever the name; through the transport it can.",
    "port_blocked": "Another port of the same address answers directly, and this one only through the transport.",
    "tcp_reset_on_sni": "The same address answers to another name; with this one the connection is reset.",
    "silent_drop_after_clienthello": "The connection comes about, and falls silent once the name was sent.",
    "udp_blocked": "UDP (HTTP/3) gets no answer directly, and does through the transport; TCP works.",
    "throttled": "The page comes very slowly directly, and fast through the transport.",
    "frozen_after_n_kb": "The page begins to come directly and then stops; through the transport all of it comes.",
    "tls_intercepted": "The certificate that comes directly is not the site's; through the transport it is.",
    "block_page": "Plain HTTP gives another page directly than through the transport.",
    "http_blocked": "Plain HTTP is cut off directly; through the transport it works.",
    "server_dead_for_everyone": "It does not answer through another transport either.",
    "target_down": "It does not open through the transport either, while other sites do.",
    "not_blocked": "It answers directly as it does elsewhere.",
    "inconclusive": "There was nothing to compare: no transport carries anything now, or nothing was tried directly.",
}


def judge(evidence: Evidence, detail: str = "") -> Verdict:
    """The first row that fits. `detail`: what is known more exactly, as a sentence."""
    code = next(row.code for row in TABLE if fits(row, evidence))
    words = VERDICTS[code]
    explanation = f"{EXPLANATIONS[code]} {detail}".strip()
    carried = evidence.subject == "host" and evidence.opens == "ok" and code in BLAMES
    return Verdict(code, words.title, explanation, GOES_THROUGH if carried else words.cure)


def fits(row: Row, evidence: Evidence) -> bool:
    return all(getattr(evidence, name) in words for name, words in row.when.items())


# -- from what was seen to one word -------------------------------------------------------------------------------

NEVER_A_SITE = tuple(map(ip_network, ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.168.0.0/16", "224.0.0.0/3", "::/127", "fc00::/7", "fe80::/10", "ff00::/8")))  # fmt: skip
ALIKE = 0.7  # OONI: the shorter page is at least so much of the longer one


@dataclass(frozen=True, slots=True)
class Page:
    """What plain HTTP gave. `moved`: the host that it sends to, if any; `size` in bytes."""

    status: int
    moved: str
    title: str
    size: int


def same(a: Page, b: Page) -> bool:
    """Whether two pages are the same site's. Sites differ a little with each visit; a block page differs a lot."""
    if a.status // 100 != b.status // 100 or a.moved != b.moved:
        return False
    if a.title and b.title:
        return a.title == b.title
    return min(a.size, b.size) >= ALIKE * max(a.size, b.size)


def is_portal(page: Page, host: str, path: str) -> bool:
    """A well-known page asked for over plain HTTP: sent elsewhere, or a page where there is none."""
    elsewhere = page.status // 100 == 3 and page.moved not in ("", host)
    filled = path.endswith("generate_204") and page.status == 200
    return page.status == 511 or elsewhere or filled


def is_bogus(address: str) -> bool:
    """An address that no public site has."""
    return any(ip_address(address) in network for network in NEVER_A_SITE)
