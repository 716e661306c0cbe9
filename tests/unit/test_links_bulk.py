"""What people paste, and what panels send: many links at once."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.links import LinkError, export, notes, parse
from routerd.links.bulk import DUPLICATE, Import, described, read_all
from routerd.links.wrapper import TO_FETCH
from tests.unit.test_links import CONF, UUID, vmess_json
from tests.unit.test_links_export import names, transports
from tests.unit.test_links_properties import SOURCES

LIST = "trojan://p@a.example#one\n\nnonsense\nhy2://p@b.example#two\n"
MARKS = ["\ufeff", "\u200b", "\u200f", "\u202a", "  ", "\t"]


def reasons(found: Import) -> list[str]:
    return [rejected.reason for rejected in found.rejected]


def called(found: Import) -> list[str]:
    return [named.name for named in found.transports]


def test_each_line_is_a_transport_or_is_rejected() -> None:
    found = read_all(LIST)
    assert called(found) == ["one", "two"]
    assert [rejected.input for rejected in found.rejected] == ["nonsense"]


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_list_in_base64_is_the_same_list(encode: object, times: int) -> None:
    text = LIST + "trojan://p@c.example#ÿÿÿ>>>???\n"
    packed = text.encode()
    for _ in range(times):
        packed = encode(packed).rstrip(b"=")  # type: ignore[operator]
    lines = "\r\n".join(packed.decode()[i : i + 60] for i in range(0, len(packed), 60))
    assert read_all(lines) == read_all(text)


def test_base64_in_base64_has_an_end() -> None:
    packed = LIST.encode()
    for _ in range(12):
        packed = b64encode(packed)
    assert reasons(read_all(packed.decode())) == ["It is wrapped in base64 again and again."]


@pytest.mark.parametrize("mark", MARKS)
def test_marks_that_nobody_sees_change_nothing(mark: str) -> None:
    found = read_all("".join(f"{mark}{line}{mark}\r\n" for line in LIST.splitlines()))
    assert called(found) == ["one", "two"]


@pytest.mark.parametrize("width", [10, 24, 76])
@pytest.mark.parametrize("link", [
    vmess_json(ps="n"),
    "trojan://secret@a.example:443?sni=s.example&type=ws&path=%2Fabc",
    f"vless://{UUID}@a.example:443?security=tls&sni=s.example&fp=chrome#%F0%9F%87%B3%F0%9F%87%B1%20NL%201",
])  # fmt: skip
def test_a_link_that_a_chat_broke_into_lines_is_one_link_among_others(link: str, width: int) -> None:
    broken = "\n".join(link[i : i + width] for i in range(0, len(link), width))
    found = read_all(f"trojan://p@first.example#1\n{broken}\ntrojan://p@last.example#2")
    whole = read_all(link).transports[0]
    assert whole.transport in [named.transport for named in found.transports]
    assert (len(found.transports), called(found)[0], called(found)[-1]) == (3, "1", "2")


def test_a_line_that_is_no_part_of_the_link_above_it_is_not_taken_for_one() -> None:
    found = read_all("trojan://p@a.example#one\nnonsense\nuser@host:443\ntrojan://p@b.example:443\nfoo:bar\nwords with spaces=1")
    assert called(found) == ["one", "b.example"]
    assert len(found.rejected) == 4


def test_several_links_in_one_line_are_several() -> None:
    assert called(read_all("trojan://p@a.example#a b  trojan://p@b.example#c")) == ["a b", "c"]


def test_the_same_transport_under_another_name_is_a_duplicate_and_the_first_one_stays() -> None:
    found = read_all(
        "trojan://p@a.example#one\ntrojan://p@A.example:443?security=tls#two\ntrojan://other@a.example#three"
    )
    assert called(found) == ["one", "three"]
    assert reasons(found) == [DUPLICATE]


NOTES = ["剩余流量：5.2 GB", "套餐到期：2026-01-01", "过期时间：长期有效", "距离下次重置剩余：12 天", "官网：example.com", "Days left: 12", "12 days left",
         "Traffic: 3.5GB / 10GB", "Remaining traffic: 10GB", "Expire: 2026-05-01", "⏳ Expires in 3 days", "📊 Traffic left: 0 B",
         "Осталось 5 дней", "Трафик: 12 ГБ", "Истекает 01.02.2026", "Подписка до 01.02.2026", "Срок действия: 3 дня", "5 дней",
         "حجم باقی‌مانده: ۱۰ گیگ", "۳۰ روز مانده", "تاریخ انقضا: ۱۴۰۴/۰۱/۰۱", "روز مانده: 12"]  # fmt: skip
SERVERS = ["🇩🇪 Germany | 12 days left", "Traffic-optimised Frankfurt", "Day 1", "Датацентр Москва", "香港 01 | 剩余", "Expo City", "تهران ۱",
           "日本 流量 x2", "Time Square NY", "Data center 5", "Remaining few: Frankfurt am Main 02 fast", "1.2.3.4"]  # fmt: skip


@pytest.mark.parametrize("name", NOTES)
def test_a_note_of_the_provider_is_no_server(name: str) -> None:
    found = read_all(f"trojan://p@a.example#{name}\ntrojan://p@a.example#real")
    assert (called(found), reasons(found)) == (["real"], [notes.REASON])


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_is_not_taken_for_a_note(name: str) -> None:
    assert not notes.is_note(name)


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("clash://install-config?url=https%3A%2F%2Fs.example%2Fx%3Ftoken%3D1&name=a", "https://s.example/x?token=1"),
        ("sing-box://import-remote-profile?url=https%3A%2F%2Fs.example%2Fy#n", "https://s.example/y"),
        ("hiddify://import/https://s.example/z?q=1#n", "https://s.example/z?q=1"),
        ("v2rayng://install-sub?url=https://s.example/a", "https://s.example/a"),
        ("sub://" + b64encode(b"https://s.example/b").decode(), "https://s.example/b"),
        ("shadowrocket://add/sub://" + b64encode(b"https://s.example/c").decode() + "?remark=n", "https://s.example/c"),
        ("ssconf://s.example/key#n", "https://s.example/key"),
        ("https://s.example/sub/abc#n", "https://s.example/sub/abc"),
        ("http://192.0.2.1:8080", "http://192.0.2.1:8080"),
        ("https://user:pass@s.example/path", "https://user:pass@s.example/path"),
    ],
)
def test_a_subscriptions_address_is_told_and_is_no_transport(line: str, address: str) -> None:
    found = read_all(line)
    assert found.subscriptions == (address,)
    assert [(each.input, each.reason) for each in found.rejected] == [(line, TO_FETCH)]


def test_an_address_with_a_user_and_no_path_is_a_proxy() -> None:
    assert read_all("https://user:pass@h.example:8443").subscriptions == ()


def test_a_wrapper_may_hold_a_link() -> None:
    assert called(read_all("hiddify://import/trojan://p@a.example#n")) == ["n"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("happ://crypt3/abc", "Happ"),
        ("ssr://abc", "ShadowsocksR"),
        ("juicity://a@b:1", "Juicity"),
        ("mieru://abc", "mieru"),
        ("https://t.me/proxy?server=1&port=2&secret=3", "Telegram"),
        ("clash://install-config?url=javascript%3A1", "neither"),
        ("https://a b/", "whole address"),
        ("# comment", "comment"),
        ("trojan://p@h.example?allowInsecure=1", "certificate checking off"),
        ("client\ndev tun\nremote h.example 1194\n<ca>\nx\n</ca>", "OpenVPN"),
    ],
)
def test_what_cannot_be_carried_is_refused_in_a_sentence_that_names_it(line: str, word: str) -> None:
    found = read_all(line)
    assert len(found.rejected) == 1
    assert word in found.rejected[0].reason
    assert found.rejected[0].input == line


def test_wg_quick_files_one_after_the_other_are_several() -> None:
    found = read_all("# from a friend\n" + CONF + CONF.replace("10.0.0.2", "10.0.0.3"))
    assert [str(named.transport.addresses[0]) for named in found.transports] == ["10.0.0.2/32", "10.0.0.3/32"]  # type: ignore[attr-defined]


def test_a_transport_is_described_without_its_secrets_but_with_its_link() -> None:
    shown = described(read_all("trojan://s3cr3t@a.example#n").transports[0])
    assert shown == {"name": "n", "kind": "trojan", "uri": "trojan://s3cr3t@a.example#n", "server": "a.example", "port": 443}


lines = st.one_of(
    st.from_regex(r"[a-z ]{0,20}", fullmatch=True).filter(lambda line: "remote" not in line),
    st.builds(lambda name, it: export_of(name, it), names, st.one_of(*transports.values())),
    st.sampled_from(["https://s.example/x", "ssr://x", "# c", "12 days left", "clash://install-config?url=x", "vpn://AAAA"]),
)


def export_of(name: str, transport: object) -> str:
    from routerd.links import Named

    return export(Named(name.replace("\n", " "), transport))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(st.lists(lines, max_size=6))
def test_every_line_ends_in_exactly_one_of_transports_and_rejected(given_lines: list[str]) -> None:
    found = read_all("\n\n".join(given_lines))
    assert len(found.transports) + len(found.rejected) == sum(1 for line in given_lines if line.strip())
    known = {line.strip() for line in given_lines}
    assert {each.input for each in found.rejected} | {named.source for named in found.transports} <= known


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_without_a_crash(text: str) -> None:
    for rejected in read_all(text).rejected:
        assert rejected.reason.endswith(".")


def test_no_reason_quotes_a_value() -> None:
    """A reason may be logged; each part of each link is a secret in its turn here."""
    for source in SOURCES:
        parts = re.split(r"([/?&=@:#%,;-])", source)
        for place in range(0, len(parts), 2):
            spoilt = "".join([*parts[:place], "zq9secret", *parts[place + 1 :]])
            assert not any("zq9" in reason for reason in reasons(read_all(spoilt))), spoilt


def test_a_hundred_thousand_lines_of_nothing_take_no_time() -> None:
    for text in ("\n" * 100_000, "a\n" * 30_000, "vmess://x\n" + "a\n" * 30_000, " " * 100_000, "%" * 100_000, "[" * 100_000,
                 "{" * 100_000, "A" * 100_000, "://" * 30_000, "\u200b" * 100_000, "#" * 100_000, "remote x\n" * 10_000):  # fmt: skip
        began = time.process_time()
        read_all(text)
        assert time.process_time() - began < 3, text[:10]


def test_json_that_is_nested_without_end_is_refused() -> None:
    for text in ('{"outbounds": ' + "[" * 100_000, "[" * 100_000 + "{", '[{"a":' * 50_000):
        assert len(read_all(text).rejected) >= 1
        assert not read_all(text).transports


def test_refusals_end_in_a_full_stop() -> None:
    assert LinkError("x.").reason.endswith(".")
    assert all(reason.endswith(".") for reason in reasons(read_all(LIST + json.dumps({"a": 1}))))


def test_bridge_lines_are_one_transport_together_and_a_bad_one_is_rejected_by_itself() -> None:
    good = ["Bridge 192.0.2.1:443", f"[2001:db8::1]:9001 {'AB' * 20}", f"192.0.2.3:1 {'CD' * 20}"]
    bad = f"obfs4 192.0.2.2:443 {'AB' * 20} cert=x iat-mode=0"
    found = read_all("\n".join((good[0], "# a comment", "trojan://p@a.example#one", good[1], bad, good[2], "192.0.2.9:8080")))
    assert called(found) == ["one", "Tor"]
    assert found.transports[1].transport == parse("\n".join(good)).transport
    assert [rejected.input for rejected in found.rejected] == ["# a comment", bad, "192.0.2.9:8080"]
    assert "cert=" in reasons(found)[1]
