"""Censors as countries were found to run them: one function per country (or per kind of box there), data only.

What was published is named; what nobody measured, and we took for granted, is marked "assumed". Residual times are as
measured, and may be handed in where a test has no such patience. Networks change: these are the models, not the news.
"""

from collections.abc import Sequence

from .censor import Censor, dns_lies, seen
from .judge import Rule

Censors = tuple[Censor, ...]
LIES = ("198.51.100.250",)  # somebody else's address, as China's injectors answer
IRAN = ("10.10.34.36",)
NOWHERE = ("127.0.0.1",)


def china(names: Sequence[str], residual: float = 60) -> Censors:
    """The Great Firewall: TLS, HTTP, DNS; on the side, so it injects and drops nothing but QUIC.

    Three RSTs to both ends, residual by the pair of ends and the port, 60 s for TLS (Bock and others, 2021, "Even
    Censors Have a Backup"; Chai and others, 2019), sequence numbers heeded but no checksums, no MD5 option, no TTL
    (Wang and others, 2017, "Your State is Not Mine"; Bock and others, 2019, "Geneva"). It puts segments together in
    any order. Assumed: of two copies the first counts (it was so for pieces in order, and varied for others).
    """
    names = tuple(names)
    stream = [seen(f"china {see}", Rule(see, "reset", names, look="first_copy", window=True, times=3, residual=residual))
              for see in ("sni", "host")]
    return (*stream, china_quic(names, 3 * residual), dns_lies(names, LIES))


def china_quic(names: Sequence[str], residual: float = 180) -> Censor:
    """Since April 2024: the first datagram of a flow is decrypted; such a name, and the pair of ends is silent for 180 s.

    Zohaib and others, 2025, "Exposing and Circumventing SNI-based QUIC Censorship": a hello in several datagrams is
    not put together. Assumed: version 2 is read like version 1.
    """
    return seen("china quic", Rule("quic", "blackhole", tuple(names), look="first", residual=residual))


def iran(names: Sequence[str]) -> Censors:
    """In the path: a page for HTTP, silence for TLS, 10.10.34.36 for DNS.

    Aryan and others, 2013; Bock and others, 2020 ("Iran's Protocol Whitelister") and 2019 ("Geneva": no segments are
    put together). Assumed: nobody computes checksums.
    """
    names = tuple(names)
    return (seen("iran sni", Rule("sni", "blackhole", names)), seen("iran host", Rule("host", "page", names)),
            dns_lies(names, IRAN))


def iran_strict(names: Sequence[str]) -> Censors:
    """A box of the same kind that follows TCP, as users of 2022 and later report. Assumed: all of it."""
    names = tuple(names)
    return tuple(seen(f"iran strict {see}", Rule(see, "blackhole", names, look="order", window=True, checksum=True))
                 for see in ("sni", "host"))


def russia(names: Sequence[str]) -> Censors:
    """TSPU's kind SNI-I and its QUIC filter: RSTs to the client alone; every QUIC Initial begins a silence.

    Xue and others, 2022, "TSPU: Russia's Decentralized Censorship System": in the path, near to the client, no
    segments are put together. There the server's answers are made RSTs; here the RST comes in answer to the hello.
    """
    return (seen("russia sni-1", Rule("sni", "reset", tuple(names), to="client")),
            seen("russia quic", Rule("quic", "blackhole")))


def russia_delayed(names: Sequence[str], after: int = 6) -> Censor:
    """SNI-II of the same: some 5 to 8 packets still pass, then nothing does. Here the client's are counted."""
    return seen("russia sni-2", Rule("sni", "blackhole", tuple(names), after=after))


def russia_throttle(names: Sequence[str], rate: int = 16000) -> Censor:
    """SNI-III: the flow is policed, at 130 kbit/s (Xue and others, 2021, "Throttling Twitter"), or 650 bytes/s in 2022.

    It gives up after some packets that are no hello (3 to 15 were measured). The first 8 KB go freely: assumed.
    """
    return seen("russia sni-3", Rule("sni", "throttle", tuple(names), most=15, rate=rate))


def russia_silent(names: Sequence[str]) -> Censor:
    """SNI-IV: the hello itself is dropped, and everything after it."""
    return seen("russia sni-4", Rule("sni", "blackhole", tuple(names)))


def russia_joining(names: Sequence[str]) -> Censor:
    """TSPU since 2024, after reports of users (zapret, ntc.party): a split alone helps no more.

    Assumed: pieces in any order are put together, the first copy counts, nobody looks at checksums or options.
    """
    return seen("russia joining", Rule("sni", "blackhole", tuple(names), look="first_copy"))


def india(names: Sequence[str], status: int = 200) -> Censors:
    """A provider's boxes: a page and a FIN for HTTP, an RST for TLS, each packet by itself.

    Yadav and others, 2018, "Where The Light Gets In" (the Host line is compared byte by byte, the server gets an RST);
    Singh and others, 2020, "How India Censors the Web" (RSTs by SNI).
    """
    names = tuple(names)
    return (seen("india host", Rule("host", "page", names, exact=True, page=status)),
            seen("india sni", Rule("sni", "reset", names)))


def kazakhstan(names: Sequence[str]) -> Censors:
    """In the path, each packet by itself: a page for HTTP, and silence for TLS.

    Bock and others, 2020, "Come as You Are": the flow is taken over for some 15 s, and the page comes with a FIN.
    Here for as long as the flow lives, which no client outlasts.
    """
    names = tuple(names)
    return (seen("kazakhstan host", Rule("host", "page", names)),
            seen("kazakhstan sni", Rule("sni", "blackhole", names)))


def turkmenistan(names: Sequence[str], residual: float = 30) -> Censors:
    """RSTs for HTTP and TLS whichever side opened the flow, on any port; 127.0.0.1 for DNS.

    Nourin and others, 2023, "Measuring and Evading Turkmenistan's Internet Censorship". There the 30 s are for the same
    two ports; here for the pair of ends and the server's port, which is harder. Assumed: the hello must lie in one
    packet, and checksums are not computed.
    """
    names = tuple(names)
    return (*(seen(f"turkmenistan {see}", Rule(see, "reset", names, residual=residual)) for see in ("sni", "host")),
            dns_lies(names, NOWHERE))
