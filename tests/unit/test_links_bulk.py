"""What people paste, and what panels send: many links at once."""

from __future__ import annotations

from base64 import b64encode

from routerd.links import parse
from routerd.links.bulk import read_all

LIST = "trojan://p@a.example#one\n\nnonsense\nhy2://p@b.example#two\n"


def test_each_line_is_a_transport_or_is_rejected() -> None:
    found = read_all(LIST)
    assert [named.name for named in found.transports] == ["one", "two"]
    assert [rejected.input for rejected in found.rejected] == ["nonsense"]


def test_a_list_in_base64_is_the_same_list() -> None:
    assert read_all(b64encode(LIST.encode()).decode()) == read_all(LIST)


def test_bridge_lines_are_one_transport_together_and_a_bad_one_is_rejected_by_itself() -> None:
    good = ["Bridge 192.0.2.1:443", "[2001:db8::1]:9001", "192.0.2.3:1"]
    found = read_all("\n".join((good[0], "trojan://p@a.example#one", good[1], "obfs4 192.0.2.2:443 cert=x", good[2])))
    assert [named.name for named in found.transports] == ["Tor", "one"]
    assert found.transports[0].transport == parse("\n".join(good)).transport
    assert [rejected.input for rejected in found.rejected] == ["obfs4 192.0.2.2:443 cert=x"]
