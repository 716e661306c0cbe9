"""Each kind of transport, with each network it rides on, against its real server: what gets through, and what is refused.

What a kind says that it carries (docs/transports.md) is what is tried here.
"""

import socket
import time
from collections.abc import Iterator
from functools import partial

import pytest

from routerd.links import parse
from routerd.model import Carries, Upstream

from . import censor
from .box import Box
from .capture import Allowed
from .lab import Lab
from .recipes import RECIPES
from .servers import Server, make_server
from .topology import SITE
from .tunnels import MAYBE, missing

SITE4, SITE6 = SITE["blocked.example"].address4, SITE["blocked.example"].address6
ECHO, QUIC = 7, 443
AT_ONCE = 1.0  # second
REFUSED = 7  # curl's exit code


@pytest.fixture(params=[*RECIPES, "iodine", *(kind for kind in MAYBE if not missing(kind))])
def server(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Server]:
    made = lab.server(request.param)
    made.start()
    yield made
    made.stop()


def test_a_censored_site_opens_and_udp_goes_through_or_is_refused_at_once(lab: Lab, server: Server) -> None:
    transport = parse(server.link).transport
    carries = transport.carries
    # Who looks at names finds them in a connection that hides nothing (docs/decisions/0014).
    shut = censor.sni_reset(["blocked.example"]) if carries.hidden else censor.ip_drop([SITE4, SITE6])
    with Box(lab, [server.name]) as box, lab.censor(shut):
        box.wait_open(server.name)
        capture = lab.capture(map(_allowed, transport.launch(server.name, 1).upstreams))
        _pages(lab, server, carries)
        _datagrams(lab, carries)
        verdict = capture.stop()
        assert verdict.clean and verdict.frames > 10, verdict
        [shown] = box.status()["transports"]
        assert (shown["udp"], shown["ipv6"]) == (carries.udp, carries.ipv6)


@pytest.mark.parametrize("inner", ["socks5", "http"])
def test_inside_one_that_encrypts_a_proxy_gets_past_who_looks_at_names(lab: Lab, inner: str) -> None:
    made, around = lab.server(inner), lab.server("ss2022")
    made.start()
    around.start()
    with (
        Box(lab, [inner, "ss2022"], via={inner: "ss2022"}) as box,
        lab.censor(censor.sni_reset(["blocked.example"])),
    ):
        box.wait_open(inner)
        _pages(lab, made, parse(made.link).transport.carries)
        assert "readable" not in [problem["code"] for problem in box.status()["problems"]]


def test_what_this_boxs_engine_was_built_without_is_said_and_the_next_way_carries(lab: Lab) -> None:
    around = lab.server("ss2022")
    around.start()
    for kind in filter(missing, MAYBE):
        link = make_server(lab.net, lab.ca, kind).link
        key = "uri" if "://" in link else "config"
        ways = f'[[transport]]\nname = "{kind}"\n{key} = """{link}"""\n[[transport]]\nname = "next"\nuri = "{around.link}"\n'
        with Box(lab, [], extra=ways) as box:
            box.wait_open("next")
            [first, _] = box.status()["transports"]
            assert first["last_error"] == missing(kind)


def _allowed(upstream: Upstream) -> Allowed:
    """What the kind itself says that it sends, and the ruleset therefore lets out."""
    port = upstream.first if upstream.first == upstream.last else None
    return Allowed(str(upstream.address), upstream.proto, port)


def _pages(lab: Lab, server: Server, carries: Carries) -> None:
    assert lab.phone.dig("blocked.example") == [SITE4]
    answer = lab.phone.curl("https://blocked.example/ip", "-4")
    assert answer.stdout.strip() == server.address4, answer.stderr
    start = time.monotonic()
    answer = lab.phone.curl("https://blocked.example/ip", "-6")
    if carries.ipv6:
        assert answer.stdout.strip() == server.address6, answer.stderr
    else:
        assert answer.returncode == REFUSED and time.monotonic() - start < AT_ONCE, answer.stderr


def _datagrams(lab: Lab, carries: Carries) -> None:
    for port, carried in ((ECHO, carries.udp), (QUIC, carries.udp and carries.quic)):
        for address, family in ((SITE4, True), (SITE6, carries.ipv6)):
            if carried and family:
                assert b"hello" in lab.phone.call(partial(_ask, address, port))
            else:
                start = time.monotonic()
                with pytest.raises(ConnectionRefusedError):
                    lab.phone.call(partial(_ask, address, port))
                assert time.monotonic() - start < AT_ONCE


def _ask(address: str, port: int) -> bytes:
    """A connected socket hears of a refusal."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.connect((address, port))
        sock.send(b"hello")
        return sock.recv(2048)
