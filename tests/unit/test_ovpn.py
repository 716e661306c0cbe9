"""OpenVPN's files: what is taken, what is passed over, what is refused, and that nothing in one is ever run."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.links import LinkError, configuration, parse
from routerd.links.ovpn import PASSED_OVER, ovpn, ovpn_link
from routerd.transports.openvpn import OURS, OpenVpn

ENGINES = Path(__file__).parents[1] / "golden" / "engines"
FILES = {name: (ENGINES / name / "client.ovpn").read_text() for name in ("openvpn-udp", "openvpn-login")}
PLAIN = FILES["openvpn-login"]
RUNS = ("up", "down", "plugin", "route-up", "ipchange", "tls-verify", "client-connect", "auth-user-pass-verify", "learn-address")


def read(text: str) -> OpenVpn:
    found = parse(text).transport
    assert isinstance(found, OpenVpn)
    return found


def config(text: str) -> list[str]:
    return ovpn(text.replace("vpn.example.com 1194", "192.0.2.1 1194"))[1].launch("x", 1).stdin.splitlines()


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_written_is_read_as_the_same(name: str) -> None:
    found = read(FILES[name])
    assert read(ovpn_link("", found)) == found == configuration(FILES[name])


def test_the_first_server_counts_with_its_port_and_protocol() -> None:
    found = read(FILES["openvpn-udp"])
    assert (found.server, found.port, found.proto, found.direction, found.mtu) == ("vpn.example.com", 1194, "udp", "1", 1380)
    other = read(PLAIN)
    assert (other.server, other.port, other.proto) == ("2001:db8::7", 443, "tcp")
    assert (other.user, other.password) == ("someone", 'a pass#word "with" everything \\ in it')


def test_no_program_of_the_files_is_run() -> None:
    words = {line.split()[0] for line in config(FILES["openvpn-udp"])}
    assert not words & {*RUNS, "setenv", "redirect-gateway", "dhcp-option"}
    assert "script-security 0" in config(FILES["openvpn-udp"])
    assert not PASSED_OVER & {line.split()[0] for line in config(FILES["openvpn-udp"]) if line not in OURS} - {"mark", "pull-filter"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ca ca.crt", "names another file for ca"),
        ("auth-user-pass login.txt", "names another file for auth-user-pass"),
        ("tls-verify /bin/check", "judged by a program"),
        ("secret static.key", "one static key for both sides"),
        ("scramble xormask secret", "XOR patch"),
        ("dev tap0", "TAP bridge"),
        ("cipher BF-CBC", "cipher is not one that is supported"),
        ("proto gre", "neither udp nor tcp"),
        ("config /etc/passwd", "a directive that is not supported"),
        ("client-connect /bin/sh", "a directive that is not supported"),
        ("--engine pkcs11", "a directive that is not supported"),
        ('auth "SHA256\\" up x"', "quotes or backslashes"),
        ("<crl-verify>", "a block that is not supported"),
        ("<ca>\nx", "twice|ends within"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_reason(line: str, why: str) -> None:
    text = PLAIN.replace("remote 2001:db8::7 443 tcp-client", "remote 2001:db8::7 443") if line.startswith("proto") else PLAIN
    with pytest.raises(LinkError, match=why) as caught:
        read(text.replace("dev tun", "", 1) + line + "\n")
    assert "/bin" not in caught.value.reason and "secret " not in caught.value.reason


def test_a_file_that_asks_for_a_login_says_where_to_put_it() -> None:
    head, _, rest = PLAIN.partition("<auth-user-pass>\n")
    with pytest.raises(LinkError, match="put them on two lines"):
        read(head + rest.partition("</auth-user-pass>\n")[2])


@pytest.mark.parametrize("user", ["</auth-user-pass>", "</auth-user-pass> x", "  </auth-user-pass>", "<x>"])
def test_a_user_cannot_be_the_end_of_its_block(user: str) -> None:
    """OpenVPN would take the password for a directive: a plugin, say."""
    with pytest.raises(LinkError):
        read(PLAIN.replace("someone\n", f"{user}\n").replace("a pass#word", "plugin /tmp/x.so "))


@pytest.mark.parametrize("what", ["CERTIFICATE", "OpenVPN Static key V1"])
def test_nothing_but_pem_is_taken_from_a_block(what: str) -> None:
    clean = config(PLAIN)
    dirty = config(PLAIN.replace(f"-----BEGIN {what}-----", f"up /bin/sh\n-----BEGIN {what}-----"))
    assert dirty == clean
    with pytest.raises(LinkError, match="not PEM"):
        read(PLAIN.replace(f"-----BEGIN {what}-----\n", f"-----BEGIN {what}-----\nup /bin/sh\n"))


@given(st.text(max_size=40), st.integers(0, 40))
def test_whatever_stands_in_a_file_becomes_a_configuration_without_control_characters_or_a_reason(text: str, at: int) -> None:
    lines = PLAIN.splitlines()
    lines.insert(min(at, len(lines)), text)
    try:
        found = config("\n".join(lines) + "\n")
    except LinkError as e:
        assert e.reason
        return
    assert all(line.isprintable() for line in found)
    assert not {line.split()[0] for line in found if line.strip()} & set(RUNS)
