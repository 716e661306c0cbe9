"""What the ISP does to the household: one function per behaviour, each gives a Censor (data); Control switches them.

Three mechanisms: nft text in a table of its own, so that any number compose; rules for the DPI (dpi.py); lies of the
ISP's own resolver. All act on what passes the ISP, both directions, while traffic flows.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

from . import dpi, internet, pki
from .internet import BLOCK_PAGE, PORTAL, Names
from .judge import SLOW, SWALLOW, Rule
from .net import Host, LabError, wait_until

FEED = 0x100
OPENING = 2  # packets of a flow before the first with data: SYN and ACK
PATIENCE = 10  # packets with data after which these give up
ALL_BEGIN = 300  # packets that are handed over where a rule never gives up

# The kernel here has no nft queue expression: nft marks packets, iptables' NFQUEUE (priority -150) hands them over.
DPI_TABLE = """
table inet dpi {{
    chain before {{ type filter hook forward priority -160;
        ct mark {swallow} drop
        meta l4proto tcp ct direction original ct original packets < {first} meta mark set {feed}
        udp dport 443 ct direction original ct original packets < {first} meta mark set {feed}
        udp dport 53 meta mark set {feed}
        {more}
    }}
    chain after {{ type filter hook forward priority -140;
        meta mark {swallow} ct mark set {swallow} drop
        {slow}
    }}
}}
"""
SLOWED = """
        meta mark {mark} ct mark set {mark}
        ct mark {mark} meter slow{rate}v{family} {{ {ip} saddr . th sport . {ip} daddr . th dport timeout 60s limit rate over \
{rate} bytes/second burst 8000 bytes }} drop
"""
# Something must ask for conntrack from the start, or flows older than a censor would be unknown to it.
WIRE = """
echo 1 > /proc/sys/net/netfilter/nf_conntrack_acct; echo 0 > /proc/sys/net/netfilter/nf_conntrack_checksum
nft 'table inet wire { chain forward { type filter hook forward priority 100; ct state new counter; }; }'
for t in iptables-nft ip6tables-nft; do
  $t -t mangle -A FORWARD -m mark --mark FEED -j NFQUEUE --queue-num NUMBER --queue-bypass
done
""".replace("FEED", str(FEED)).replace("NUMBER", str(dpi.QUEUE))


@dataclass(frozen=True, slots=True)
class Censor:
    """One behaviour as data: rules of a forward, an input and a nat chain, or a rule of the DPI.

    What it lies about by DNS (`do` is lie), the ISP's resolver lies about too.
    """

    name: str
    forward: tuple[str, ...] = ()
    input: tuple[str, ...] = ()
    nat: tuple[str, ...] = ()
    rule: Rule | None = None


def _both_ways(addresses: Sequence[str], verdict: str) -> tuple[str, ...]:
    ends = [("ip6" if ":" in address else "ip", end, address) for address in addresses for end in ("saddr", "daddr")]
    return tuple(f"{family} {end} {address} {verdict}" for family, end, address in ends)


def ip_drop(addresses: Sequence[str]) -> Censor:
    """Addresses (or prefixes), v4 and v6, are gone: silence in both directions."""
    return Censor(f"ip_drop {' '.join(addresses)}", _both_ways(addresses, "drop"))


def port_drop(proto: str, port: int) -> Censor:
    """Nothing to this port, or from it, passes."""
    return Censor(f"port_drop {proto} {port}", (f"{proto} dport {port} drop", f"{proto} sport {port} drop"))


def udp_drop(spare: Sequence[int] = (53,)) -> Censor:
    """No UDP but for these server ports."""
    keep = tuple(f"udp {end} {port} accept" for port in spare for end in ("dport", "sport"))
    return Censor("udp_drop", (*keep, "meta l4proto udp drop"))


def quic_drop() -> Censor:
    """UDP 443 is gone."""
    return Censor("quic_drop", port_drop("udp", 443).forward)


def wireguard_drop() -> Censor:
    """WireGuard's handshake by its looks, to any port: 148 bytes that begin with 1 and three zeros, or 92 with 2."""
    looks = (f"udp length {8 + size} @th,64,32 {kind << 24:#010x} drop" for kind, size in ((1, 148), (2, 92)))
    return Censor("wireguard_drop", tuple(looks))


def throttle(address: str, kbit: int) -> Censor:
    """Each direction of this address is policed to so many kbit/s: what is over is lost."""
    size = max(kbit * 125, 1)
    return Censor(f"throttle {address} {kbit}",
                  _both_ways([address], f"limit rate over {size} bytes/second burst {max(4500, size // 4)} bytes drop"))


def throttle_flows(addresses: Sequence[str], size: int) -> Censor:
    """Each flow with these addresses, old or new, is policed to `size` bytes/s each way; its first 8 KB go freely."""
    rules = [f"{family} {end} {address} meta l4proto {{ tcp, udp }} meter {end}{number} {{ {family} saddr . th sport . "
             f"{family} daddr . th dport timeout 60s limit rate over {size} bytes/second burst 8000 bytes }} drop"
             for number, address in enumerate(addresses) for end in ("saddr", "daddr")
             for family in ("ip6" if ":" in address else "ip",)]
    return Censor(f"throttle_flows {' '.join(addresses)} {size}", tuple(rules))


def freeze_after(size: int, addresses: Sequence[str] = ()) -> Censor:
    """A flow that carried more than `size` bytes (both directions, with headers) falls silent."""
    rule = f"ct bytes > {size} drop"
    return Censor(f"freeze_after {size}", _both_ways(addresses, rule) if addresses else (rule,))


def loss(percent: int) -> Censor:
    """Each packet is lost with this probability, in each direction."""
    return Censor(f"loss {percent}", (f"numgen random mod 100 < {percent} drop",))


def total_outage() -> Censor:
    """The wire is up and nothing answers but ARP and neighbour discovery."""
    keep = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept"
    return Censor("total_outage", ("drop",), (keep, "iifname cust0 drop"))


def national_network() -> Censor:
    """Only domestic addresses answer."""
    return Censor("national_network", ("iifname cust0 oifname != dom0 drop", "iifname != dom0 oifname cust0 drop"))


def captive_portal() -> Censor:
    """Before the login: names work, plain HTTP leads to the login page, and nothing else passes."""
    there = "iifname cust0 oifname dom0 accept"
    nothing = ("iifname cust0 drop", "oifname cust0 iifname != dom0 drop")
    return Censor("captive_portal", (there, *nothing), nat=_instead("", 80, PORTAL))


def block_page(address: str) -> Censor:
    """Plain HTTP to this address is answered with a page of the censor's."""
    return Censor(f"block_page {address}", nat=_instead(f"ip daddr {address}", 80, BLOCK_PAGE))


def forged_certificate(address: str) -> Censor:
    """TLS to this address is answered by the censor, with a certificate of its own authority."""
    return Censor(f"forged_certificate {address}", nat=_instead(f"ip daddr {address}", 443, BLOCK_PAGE))


def _instead(select: str, port: int, there: tuple[str, str]) -> tuple[str, ...]:
    rules = (f"iifname cust0 {select} tcp dport {port} dnat ip to {there[0]}",
             f"iifname cust0 {select} tcp dport {port} dnat ip6 to [{there[1]}]")
    return rules[:1] if select.startswith("ip ") else rules


def seen(title: str, rule: Rule) -> Censor:
    """A censor of the DPI alone."""
    return Censor(f"{title} {' '.join(rule.names)}", rule=rule)


def _look(reassemble: bool) -> str:
    return "first_copy" if reassemble else "packet"


def sni_reset(names: Sequence[str], reassemble: bool = False) -> Censor:
    """A ClientHello for one of these names (or below) gets RSTs, both ways.

    Naive unless `reassemble`: the hello must begin and show the name in one packet.
    """
    return seen("sni_reset", Rule("sni", "reset", tuple(names), look=_look(reassemble), most=PATIENCE))


def sni_blackhole(names: Sequence[str], reassemble: bool = False) -> Censor:
    """Such a ClientHello is swallowed, and everything after it in its flow."""
    return seen("sni_blackhole", Rule("sni", "blackhole", tuple(names), look=_look(reassemble), most=PATIENCE))


def host_reset(names: Sequence[str], reassemble: bool = False) -> Censor:
    """An HTTP request with such a Host gets RSTs, both ways, on any port."""
    return seen("host_reset", Rule("host", "reset", tuple(names), look=_look(reassemble), most=PATIENCE))


def dns_lies(names: Sequence[str], answers: Sequence[str] = BLOCK_PAGE) -> Censor:
    """UDP queries for such names that pass by, to any server, get a forged answer first; the ISP's resolver lies too.

    No answers: NXDOMAIN. Answers of one family only: the other family gets an empty answer.
    """
    return seen("dns_lies", Rule("dns", "lie", tuple(names), tuple(answers), most=PATIENCE))


def reset_injected(address: str) -> Censor:
    """Every TCP flow with this address, old or new, is reset as soon as it says something."""
    return seen("reset_injected", Rule("address", "reset", (address,), most=PATIENCE))


@dataclass(slots=True)
class Control:
    """Switches censors on the ISP. `with control(a, b): ...`, or on and off by hand; both may be repeated."""

    isp: Host
    domestic: Host
    names: Names
    active: dict[Censor, str] = field(default_factory=dict)
    count: int = 0
    program: subprocess.Popen[str] | None = None
    resolver: subprocess.Popen[str] | None = None
    forges: bool = False

    @contextlib.contextmanager
    def __call__(self, *censors: Censor) -> Iterator[None]:
        self.on(*censors)
        try:
            yield
        finally:
            self.off(*censors)

    def on(self, *censors: Censor) -> None:
        """In force when this returns."""
        for censor in censors:
            if censor not in self.active:
                self.count += 1
                self.active[censor] = table = f"censor{self.count}"
                if censor.nat:
                    self.forge()
                chains = _chain("forward", censor.forward) + _chain("input", censor.input)
                chains += _chain("prerouting", censor.nat, "nat", -100)
                self.isp.run(["nft", "-f", "-"], input=f"table inet {table} {{ {chains} }}")
                self._refresh(censor)

    def off(self, *censors: Censor) -> None:
        """Gone when this returns; a flow that was swallowed stays so."""
        for censor in censors:
            table = self.active.pop(censor, None)
            if table:
                self.isp.run(["nft", "delete", "table", "inet", table])
                self._refresh(censor)

    def clear(self) -> None:
        """Everything off."""
        self.off(*list(self.active))

    def forge(self) -> None:
        """Start what answers in the place of others; once."""
        if not self.forges:
            self.forges = True
            internet.start_forger(self.domestic, pki.authority(self.domestic.directory, "A ministry's CA", "forger-ca"))
            wait_until(lambda: "forger.pid" in os.listdir(self.domestic.directory), 5, "the forger answers")

    def prepare(self) -> None:
        """Conntrack with byte counts, the way into the DPI, and the ISP's resolver. Once, at bring-up."""
        self.isp.sh(WIRE)
        self.resolver = internet.start_isp_resolver(self.domestic, self.names)

    def _refresh(self, changed: Censor) -> None:
        rules = [censor.rule for censor in self.active if censor.rule]
        if changed.rule:
            self._tell_dpi(rules)
        if changed.rule and changed.rule.do == "lie":
            self._tell_resolver([rule for rule in rules if rule.do == "lie"])

    def _tell_dpi(self, rules: list[Rule]) -> None:
        if self.program is None:
            self.program = self.isp.module("dpi", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.program.stdin
        assert self.program.stdout
        self.program.stdin.write(json.dumps([asdict(rule) for rule in rules]) + "\n")
        self.program.stdin.flush()
        if self.program.stdout.readline() != "ok\n":
            raise LabError(f"the DPI ended; see {self.isp.directory}/dpi.log")
        fresh = "table inet dpi\ndelete table inet dpi\n" + (_dpi_table(rules) if rules else "")
        self.isp.run(["nft", "-f", "-"], input=fresh)

    def _tell_resolver(self, liars: list[Rule]) -> None:
        """unbound reads its data at start only; a restart takes some 50 ms."""
        lies = {f"*.{name}": rule.answers for rule in liars for name in rule.names}
        kept = {name: addresses for name, addresses in self.names.records.items() if f"*.{name}" not in lies}
        if self.resolver:
            self.resolver.kill()
            self.resolver.wait(5)
        self.resolver = internet.start_isp_resolver(self.domestic, Names({**kept, **lies}))
        wait_until(lambda: self.domestic.listens("udp", 53), 5, "the ISP's resolver is back")


def _dpi_table(rules: Iterable[Rule]) -> str:
    first = max(ALL_BEGIN if rule.most is None else rule.most + OPENING for rule in rules)
    more = [line for rule in rules if rule.see == "address"
            for line in _both_ways(rule.names, f"meta l4proto tcp meta mark set {FEED}")]
    slow = [SLOWED.format(mark=SLOW | rate, rate=rate, family=family, ip=ip)
            for rate in sorted({rule.rate for rule in rules} - {0}) for family, ip in ((4, "ip"), (6, "ip6"))]
    return DPI_TABLE.format(feed=FEED, swallow=SWALLOW, first=first, more="\n".join(more), slow="".join(slow))


def _chain(hook: str, rules: Sequence[str], kind: str = "filter", priority: int = 0) -> str:
    body = "\n".join(rules)
    return f"chain {hook} {{ type {kind} hook {hook} priority {priority}; {body}\n }}\n" if rules else ""
