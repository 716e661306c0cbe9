"""The page of the transports is what they say of themselves. After a change that is meant: `make golden`; read the difference."""

import os

from routerd.links.stream import NETWORKS
from routerd.transports import KINDS
from tests.golden.kinds import FILE, forms, lab, page, where


def test_the_page_is_drawn_from_the_kinds() -> None:
    if os.environ.get("REGOLD"):
        FILE.write_text(page())
    assert FILE.read_text() == page()


def test_every_kind_has_a_link_and_a_server_in_the_lab() -> None:
    assert {one.kind for one in lab().values()} == set(KINDS)
    assert [kind for kind in KINDS if not forms(kind)] == []


def test_every_network_has_a_server_in_the_lab() -> None:
    ridden = {type(getattr(one, "network", None)).__name__ for one in lab().values()}
    assert ridden == {"NoneType", "WebSocket", "HttpUpgrade", "Grpc", "Xhttp"}
    assert set(NETWORKS) == {"tcp", "raw", "ws", "httpupgrade", "grpc", "xhttp", "splithttp"}


def test_a_cell_names_the_fewer_where_the_servers_of_a_kind_differ() -> None:
    three = {name: lab()[name] for name in ("socks5", "vless-tls", "http")}
    assert where(three, lambda t: t.port > 0) == "yes"
    assert where(three, lambda t: t.carries.udp) == "all but `http`"
    assert where(three, lambda t: t.carries.hidden) == "`vless-tls`"
