"""docs/transports.md, drawn from the kinds themselves, their schemes and the lab's recipes."""

from collections.abc import Callable, Iterable
from functools import cache
from inspect import getdoc
from pathlib import Path
from sys import modules
from tempfile import TemporaryDirectory
from typing import get_args, get_type_hints

from routerd.links import SCHEMES, parse
from routerd.links.stream import NETWORKS, REFUSED
from routerd.model import Launch
from routerd.transports import KINDS, Transport
from tests.lab.pki import authority
from tests.lab.recipe import Seat
from tests.lab.recipes import RECIPES
from tests.lab.tunnels import MAYBE, TUNNELS

FILE = Path(__file__).parents[2] / "docs" / "transports.md"
ANYWHERE = "203.0.113.9"
# Where a link's form is more than its scheme.
FORMS = {"wireguard": "wg-quick files", "amneziawg": "files like wg-quick's", "shadowtls": "as `plugin=shadow-tls`", "tor": "bridge lines", "openvpn": ".ovpn files"}
# Those of tests/lab/tornet.py, tried by tests/lab/test_tor.py and test_bridges.py, and what needs no server, tried by test_desync.py.
BRIDGE = f"{ANYWHERE}:443 {'AB' * 20}"
TORNET = {
    "tornet, obfs4": f"obfs4 {BRIDGE} cert={'A' * 70} iat-mode=0",
    "tornet, meek_lite": "meek_lite 192.0.2.20:80 url=https://meek.example/ front=front.example",
    "tornet, snowflake": f"snowflake 192.0.2.3:80 fingerprint={'AB' * 20} url=https://broker.example/ ice=stun:stun.example:3478",
    "tornet, webtunnel, where its programs are": f"webtunnel [2001:db8::1]:443 {'AB' * 20} url=https://web.example/path",
    "tornet, plain bridge": f"Bridge {BRIDGE}",
    "tornet, straight": "tor://",
    "none": "desync://auto",
}
PAGE = """\
# Transports

Drawn from `routerd/transports/`, `routerd/links/` and the lab's recipes by `make golden`: change them, not this page.

Each kind is one file in `routerd/transports/`; its first lines say what is special about it. What a kind does not carry is
refused at once, so that apps use something else. "Hidden": nobody on the way can read what it carries
(docs/decisions/0014). "Travels over": what another way out must carry for this one to go through it.

| kind | links | engine | UDP | UDP 443 (QUIC) | IPv6 | hidden | travels over | servers in the lab |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{kinds}

{notes}

Each server in the lab is a real one, but for those behind meek and snowflake: no package has them, so they are the lab's own, and
`tests/lab/test_bridges.py` tries the real clients with them. webtunnel is tried there with both its real programs, which are in Debian 14, on a
machine that has them.

`tests/lab/test_kinds.py` tries for each what its row says: a censored site opens
over TCP and IPv4, and over IPv6 where it is carried; a datagram is answered where UDP is carried, else refused within a second.
"Where its engine is": no package brings that, so most machines leave the test out, and say so; what is written for the engine is held against its
own reader all the same (sing-box), or was tried with one built by hand (amneziawg-go 3.1).

VLESS, VMess and Trojan ride on plain TCP or on one of Xray's networks (`type=`): {networks}. REALITY goes around `tcp`, `grpc`
and `xhttp`. XHTTP with `alpn=h3` alone travels over UDP. Refused, with the reason: {refused}.
"""


def page() -> str:
    return PAGE.format(
        kinds="\n".join(map(line, KINDS)),
        notes="\n".join(f"- **{kind}**: {first_words(KINDS[kind])}" for kind in KINDS),
        networks=", ".join(f"`{name}`" for name in NETWORKS),
        refused=", ".join(f"`{name}`" for name in REFUSED),
    )


def line(kind: str) -> str:
    tried = {name: one for name, one in lab().items() if one.kind == kind}
    cells = (
        kind,
        forms(kind),
        engines(tried),
        where(tried, lambda t: t.carries.udp),
        where(tried, lambda t: t.carries.udp and t.carries.quic),
        where(tried, lambda t: t.carries.ipv6),
        where(tried, lambda t: t.carries.hidden),
        travels_over([t.launch("x", 1) for t in tried.values()]),
        ", ".join(f"`{name}`, where its engine is" if name in MAYBE else f"`{name}`" for name in tried),
    )
    return f"| {' | '.join(cells)} |"


def engines(tried: dict[str, Transport]) -> str:
    """The one that most of them need; and of the others which needs what."""
    found = {name: f"{one.engine.name} ({one.engine.tag})" if one.engine.tag else one.engine.name for name, one in tried.items()}
    usual, *others = dict.fromkeys(found.values())
    more = [f"{engine} for {', '.join(f'`{name}`' for name in found if found[name] == engine)}" for engine in others]
    return "; ".join([usual, *more])


def travels_over(launches: list[Launch]) -> str:
    protos = sorted({upstream.proto.upper() for launch in launches for upstream in launch.upstreams})
    return ", ".join(protos) if all(launch.marks for launch in launches) else "nothing: it marks no packets"


def where(tried: dict[str, Transport], holds: Callable[[Transport], bool]) -> str:
    """Yes, no, or for which of the lab's servers."""
    yes = [f"`{name}`" for name, one in tried.items() if holds(one)]
    no = [f"`{name}`" for name, one in tried.items() if not holds(one)]
    if not yes or not no:
        return "yes" if yes else "no"
    return ", ".join(yes) if len(yes) <= len(no) else f"all but {', '.join(no)}"


@cache
def lab() -> dict[str, Transport]:
    """What each of the lab's links is read as. Some hold certificates: these are real."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        ca = authority(folder)
        cert = ca.issue(folder, "server", ["server.example"])
        seat = Seat(ANYWHERE, "2001:db8::9", "server.example", cert, ca.file)
        links = {name: recipe(seat).link(ANYWHERE) for name, (_, recipe) in (RECIPES | TUNNELS).items()}
        return {name: parse(link).transport for name, link in (links | TORNET).items()}


def forms(kind: str) -> str:
    schemes = [f"`{scheme}://`" for scheme, read in SCHEMES.items() if KINDS[kind] in kinds_of(read)]
    return ", ".join([*schemes, *([FORMS[kind]] if kind in FORMS else [])])


def kinds_of(read: Callable[[str], tuple[str, Transport]]) -> Iterable[type]:
    """The second of what it returns; one kind, or a union of some."""
    found = get_args(get_type_hints(read)["return"])[1]
    return get_args(found) or (found,)


def first_words(kind: type[Transport]) -> str:
    """The whole of its room's docstring, on one line."""
    return " ".join((getdoc(modules[kind.__module__]) or "").split())
