"""What people paste, and what panels send: many links at once."""

from __future__ import annotations

from base64 import b64encode

from routerd.links.bulk import read_all

LIST = "trojan://p@a.example#one\n\nnonsense\nhy2://p@b.example#two\n"


def test_each_line_is_a_transport_or_is_rejected() -> None:
    found = read_all(LIST)
    assert [named.name for named in found.transports] == ["one", "two"]
    assert [rejected.input for rejected in found.rejected] == ["nonsense"]


def test_a_list_in_base64_is_the_same_list() -> None:
    assert read_all(b64encode(LIST.encode()).decode()) == read_all(LIST)
