"""clearway.toml, read: what is right is taken, what is wrong is refused in one line that names the key."""

import os
import random
import re
from ipaddress import IPv4Interface, IPv6Interface, ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from routerd.file import ConfigFile
from routerd.links import parse
from routerd.settings import LIMIT, Settings, parse_settings
from routerd.table import SettingsError
from routerd.transports.desync import Desync

SECRET = "s3cr3tpassw0rd"
LINK = f"trojan://{SECRET}@192.0.2.1:443?sni=example.org#home"
GOOD = f"""# the household's
[wan]
interface = "eth0"

[lan]
interface = "br-lan"
address = "192.168.77.1/24"
address6 = "fd77:77:77::1/64"
dhcp = true

[policy]
on_failure = "block"
order = "listed"
standby = 2

[dns]
resolvers = ["https://9.9.9.9/dns-query", "https://[2620:fe::fe]:443/dns-query"]

[watchdog]
targets = ["https://www.gstatic.com/generate_204"]
canaries = ["https://blocked.example/"]

[time]
sources = ["https://1.0.0.1/", "https://8.8.4.4/", "https://[2001:db8::1]/"]

[web]
port = 8080

[[transport]]
name = "home"
uri = "{LINK}"

[[transport]]
name = "école 2"
uri = "{LINK}"
enabled = false
ipv6 = false
"""
IFNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")


def read_nothing(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


def parsed(text: str) -> Settings:
    return parse_settings(text, read_nothing)


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parsed(text)
    return str(caught.value)


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_a_good_file_is_taken_as_it_stands() -> None:
    found = parsed(GOOD)
    assert (found.wan, found.lan) == ("eth0", "br-lan")
    assert found.address == IPv4Interface("192.168.77.1/24")
    assert found.address6 == IPv6Interface("fd77:77:77::1/64")
    assert list(found.transports) == ["home", "école 2"]
    assert [entry.name for entry in found.enabled] == ["home"]
    assert not found.transports["école 2"].ipv6


def test_the_shortest_file_has_safe_defaults() -> None:
    found = parsed('wan.interface="a"\nlan.interface="b"\nlan.address="10.0.0.1/24"\n')
    assert (found.on_failure, found.standby, found.address6, found.dhcp) == ("block", 2, None, True)
    assert found.resolvers
    assert found.targets
    assert list(found.transports) == ["No server"]


def test_a_subscription_is_read_and_its_address_is_shown_nowhere() -> None:
    text = GOOD + f'[[subscription]]\nname = "Aunt"\nurl = "https://panel.example/{SECRET}"\nkeep = 3\nconfirm = true\n'
    found = parsed(text).subscriptions["Aunt"]
    assert (found.keep, found.confirm, found.hours, found.user_agent) == (3, True, 0, "v2rayN/7.13")
    assert SECRET not in repr(found)
    for wrong in ("http://panel.example/", "https://u:p@panel.example/", "https://pa nel/", "https://a_b/"):
        message = refusal(text.replace("https://panel.example/", wrong))
        assert message.startswith("subscription[0].url:")
        assert SECRET not in message
    assert SECRET not in refusal(text.replace('url = "https', 'url = ["https').replace(f'{SECRET}"\nkeep', f'{SECRET}"]\nkeep'))


SUB = '\n[[subscription]]\nname = "Aunt"\nurl = "https://panel.example/"\n'


@pytest.mark.parametrize(
    ("more", "path", "says"),
    [
        ("keep = 0", "subscription[0].keep", "1 to 4"),
        ("update_hours = 721", "subscription[0].update_hours", "0 to 720"),
        ('user_agent = "a\\nHost: x"', "subscription[0].user_agent", "printable"),
        ('user_agent = ""', "subscription[0].user_agent", "printable"),
        ("foo = 1", "subscription[0].foo", "unknown key"),
        (SUB, "subscription[1].name", "must differ"),
        (SUB * 8, "subscription", "at most 8"),
    ],
)
def test_what_is_wrong_with_a_subscription_is_refused(more: str, path: str, says: str) -> None:
    message = refusal(GOOD + SUB + more)
    assert message.startswith(f"{path}:")
    assert says in message


def test_beside_a_subscription_there_is_room_for_fewer_transports() -> None:
    many = "".join(f'[[transport]]\nname = "{number}"\nuri = "{LINK}"\n' for number in range(78))
    assert parsed(GOOD + many)
    assert "at most 79" in refusal(GOOD + many + SUB)


WRONG = [
    # (what it is, old, new, the key's path, what the message also says)
    ("unknown table", "[web]", "[webb]", "webb", "unknown key"),
    ("unknown key in wan", '[wan]\n', '[wan]\nmtu = 3\n', "wan.mtu", "unknown key"),
    ("unknown key in lan", "[lan]\n", "[lan]\nadress = 3\n", "lan.adress", "unknown key"),
    ("unknown key in policy", "[policy]\n", "[policy]\nfoo = 3\n", "policy.foo", "unknown key"),
    ("unknown key in dns", "[dns]\n", "[dns]\nfoo = 3\n", "dns.foo", "unknown key"),
    ("unknown key in watchdog", "[watchdog]\n", "[watchdog]\nfoo = 3\n", "watchdog.foo", "unknown key"),
    ("unknown key in web", "[web]\n", "[web]\nfoo = 3\n", "web.foo", "unknown key"),
    ("unknown key in a transport", 'name = "home"\n', 'name = "home"\nfoo = 1\n', "transport[0].foo", "unknown key"),
    ("a missing interface", 'interface = "eth0"', "", "wan.interface", "missing"),
    ("a number for a name", 'interface = "eth0"', "interface = 3", "wan.interface", "must be a str, not 3"),
    ("a text for a flag", "dhcp = true", 'dhcp = "yes"', "lan.dhcp", "must be a bool, not 'yes'"),
    ("a flag for a number", "standby = 2", "standby = true", "policy.standby", "must be a int, not True"),
    ("a text for a number", "standby = 2", 'standby = "2"', "policy.standby", "must be a int"),
    ("a number out of range", "standby = 2", "standby = 9", "policy.standby", "0 to 8"),
    ("a negative number", "standby = 2", "standby = -1", "policy.standby", "0 to 8"),
    ("a huge number", "standby = 2", "standby = 0x" + "f" * 5000, "policy.standby", "0 to 8"),
    ("a huge number for a text", 'interface = "eth0"', "interface = 0x" + "f" * 5000, "wan.interface", "str"),
    ("a decimal number of thousands of digits", "standby = 2", "standby = " + "9" * 5000, "clearway.toml", "not valid"),
    ("port zero", "port = 8080", "port = 0", "web.port", "1 to 65535"),
    ("a port that is none", "port = 8080", "port = 65536", "web.port", "1 to 65535"),
    ("a word that is no choice", '"block"', '"open"', "policy.on_failure", "block, direct"),
    ("an order that is none", '"listed"', '"random"', "policy.order", "listed, fastest"),
    ("the WAN's interface as the LAN's", '"br-lan"', '"eth0"', "lan.interface", "must differ"),
    ("loopback as an interface", '"br-lan"', '"lo"', "lan.interface", "not an interface name"),
    ("the kernel's word for all interfaces", '"br-lan"', '"all"', "lan.interface", "not an interface name"),
    ("one of our tunnels", '"br-lan"', '"cw-1"', "lan.interface", "not an interface name"),
    ("sixteen characters", '"br-lan"', '"abcdefghijklmnop"', "lan.interface", "at most 15"),
    ("an empty interface name", '"br-lan"', '""', "lan.interface", "not an interface name"),
    ("a quote in a name", '"br-lan"', r'"a\"b"', "lan.interface", "not an interface name"),
    ("a newline in a name", '"br-lan"', r'"a\nb"', "lan.interface", "not an interface name"),
    ("a trailing newline in a name", '"br-lan"', r'"br-lan\n"', "lan.interface", "not an interface name"),
    ("nft syntax in a name", '"br-lan"', '"a; accept"', "lan.interface", "not an interface name"),
    ("a wildcard in a name", '"br-lan"', '"br*"', "lan.interface", "not an interface name"),
    ("a slash in a name", '"br-lan"', '"a/../b"', "lan.interface", "not an interface name"),
    ("letters of another script", '"br-lan"', '"ｌan"', "lan.interface", "not an interface name"),
    ("no address", "192.168.77.1/24", "home", "lan.address", "like 192.168.77.1/24"),
    ("an address without a prefix", "192.168.77.1/24", "192.168.77.1", "lan.address", "/8 to /30"),
    ("the network's address", "192.168.77.1/24", "192.168.77.0/24", "lan.address", "network's own"),
    ("the broadcast address", "192.168.77.1/24", "192.168.77.255/24", "lan.address", "network's own"),
    ("a loopback address", "192.168.77.1/24", "127.0.0.1/8", "lan.address", "cannot be"),
    ("a multicast address", "192.168.77.1/24", "224.0.0.5/24", "lan.address", "cannot be"),
    ("IPv6 for IPv4", "192.168.77.1/24", "fd00::1/64", "lan.address", "IPv4"),
    ("IPv4 for IPv6", "fd77:77:77::1/64", "10.0.0.1/24", "lan.address6", "IPv6"),
    ("an IPv6 prefix that SLAAC cannot use", "fd77:77:77::1/64", "fd77::1/48", "lan.address6", "64"),
    ("a link-local address", "fd77:77:77::1/64", "fe80::1/64", "lan.address6", "cannot be"),
    ("an IPv6 zone", "fd77:77:77::1/64", "fd77::1%x/64", "lan.address6", ""),
    ("a resolver by name", "https://9.9.9.9/dns-query", "https://dns.example/dns-query", "dns.resolvers", "by address"),
    ("a resolver in clear", "https://9.9.9.9/dns-query", "http://9.9.9.9/", "dns.resolvers", "https://ADDRESS/path"),
    ("a resolver's zone with nft syntax", "[2620:fe::fe]", "[fe80::1%;accept;]", "dns.resolvers", "by address"),
    ("a source of time by name", "https://8.8.4.4/", "https://dns.example/", "time.sources", "by address"),
    ("two sources of time", ', "https://8.8.4.4/"', "", "time.sources", "at least 3"),
    ("one source of time twice", "https://8.8.4.4/", "https://1.0.0.1:444/", "time.sources", "at least 3"),
    ("a user in a URL", "https://9.9.9.9/", "https://u:p@9.9.9.9/", "dns.resolvers", "not a URL"),
    ("a URL with a space", "https://blocked.example/", "https://blocked.example/ x", "watchdog.canaries", "not a URL"),
    ("a URL with a newline", "https://blocked.example/", r"https://blocked.example/\nx", "watchdog.canaries", "URL"),
    ("a URL with a quote", "https://blocked.example/", r"https://blocked.example/\"", "watchdog.canaries", "URL"),
    ("a URL without a host", "https://blocked.example/", "https:///x", "watchdog.canaries", "not a URL"),
    ("a URL with port zero", "https://blocked.example/", "https://a.example:0/", "watchdog.canaries", "not a URL"),
    ("a URL with a port that is none", "https://blocked.example/", "https://a.example:x/", "watchdog.canaries", "URL"),
    ("a host that is none", "https://blocked.example/", "https://a_b/", "watchdog.canaries", "host name that is none"),
    ("half a bracket", "https://blocked.example/", "https://[::1/", "watchdog.canaries", "not a URL"),
    ("a number among URLs", '["https://blocked.example/"]', "[3]", "watchdog.canaries", "list of strings"),
    ("a text for a list", '["https://blocked.example/"]', '"https://x.example/"', "watchdog.canaries", "must be a list"),
    ("no target", '["https://www.gstatic.com/generate_204"]', "[]", "watchdog.targets", "at least one"),
    ("too many resolvers", '"https://9.9.9.9/dns-query"', ", ".join(['"https://9.9.9.9/"'] * 5), "dns.resolvers", "at most 4"),
    ("two of one name", '"école 2"', '"home"', "transport[1].name", "must differ"),
    ("a name with a newline", '"école 2"', r'"a\nb"', "transport[1].name", "printable"),
    ("a name of spaces", '"école 2"', '"  "', "transport[1].name", "printable"),
    ("a name too long", '"école 2"', f'"{"x" * 65}"', "transport[1].name", "1 to 64"),
    ("a name that reverses the line", '"école 2"', r'"a\u202eb"', "transport[1].name", "printable"),
    ("a name that our own children have", '"école 2"', '"service:dnsmasq"', "transport[1].name", "service:"),
    ("a transport without a way", f'uri = "{LINK}"', "", "transport[0].uri", "exactly one of"),
    ("both uri and config", 'name = "home"\n', 'name = "home"\nconfig = "x"\n', "transport[0].uri", "exactly one of"),
    ("a kind that is another", 'name = "home"\n', 'name = "home"\nkind = "vless"\n', "transport[0].kind", "'trojan'"),
    ("a file that is not there", f'uri = "{LINK}"', 'file = "no.conf"', "transport[0].file", "No such file"),
    ("a link with a wrong port", "192.0.2.1:443", "192.0.2.1:99999", "transport[0].uri", "65535"),
    ("a link that is none", "trojan://", "nonsense://", "transport[0].uri", "not supported"),
    ("a wg-quick text that is none", f'uri = "{LINK}"', f'config = "[Interface]\\nPrivateKey = {SECRET}"', "transport[0].config", ""),
    ("one table for many", "[[transport]]\nname = \"home\"", "[transport]\nname = \"home\"", "clearway.toml", "not valid"),
    ("text that is no TOML", "[wan]", "[wan", "clearway.toml", "not valid TOML"),
]


@pytest.mark.parametrize(("old", "new", "path", "says"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_what_is_wrong_is_refused_in_one_line_that_names_the_key(old: str, new: str, path: str, says: str) -> None:
    message = refusal(changed(old, new))
    assert message.startswith(f"{path}:")
    assert says in message
    assert "\n" not in message
    assert len(message) < 300
    assert SECRET not in message


def test_transports_that_are_no_tables_are_refused() -> None:
    assert refusal(GOOD.split("[[transport]]")[0].replace("# the", "transport = [3]\n#", 1)).startswith("transport:")


def test_more_transports_than_slots_are_refused() -> None:
    many = "".join(f'[[transport]]\nname = "t{i}"\nuri = "{LINK}"\n' for i in range(96))
    assert "at most 95" in refusal(GOOD.split("[[transport]]")[0] + many)


def test_a_file_that_is_too_large_is_refused() -> None:
    assert "larger than" in refusal(GOOD + "#" * LIMIT)


def test_a_deeply_nested_file_is_refused() -> None:
    assert refusal("x = " + "[" * 100_000)


def test_a_path_with_a_nul_is_refused() -> None:
    text = changed(f'uri = "{LINK}"', 'file = "a\\u0000b"')
    with pytest.raises(SettingsError, match=r"^transport\[0\]\.file: "):
        parse_settings(text, lambda path: open(path).read())


# -- arbitrary files (fault 46) -----------------------------------------------------------------------------------


def assert_within_the_wall(found: Settings) -> None:
    """No string that could end in a ruleset, a configuration or an argv is outside its allow-list."""
    for name in (found.wan, found.lan):
        assert IFNAME.fullmatch(name)
    assert found.wan != found.lan
    assert found.on_failure in ("block", "direct")
    assert found.order in ("listed", "fastest")
    assert 0 <= found.standby <= 8
    assert 1 <= found.web_port <= 65535
    for url in (*found.resolvers, *found.targets, *found.canaries):
        assert re.fullmatch(r"https://[!#-&(-;=?-_a-z~]+", url, re.IGNORECASE)
        assert urlsplit(url).hostname
    for url in found.resolvers:
        host = urlsplit(url).hostname or ""
        assert "%" not in host
        assert ip_address(host)
    for name, entry in found.transports.items():
        assert name == entry.name
        assert name.isprintable()
        assert re.fullmatch(r"[a-z0-9.:-]+", entry.transport.server)
        assert 1 <= entry.transport.port <= 65535


def attempt(data: bytes) -> None:
    """Nothing but SettingsError, and nothing outside the wall."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return  # file.py refuses it before
    try:
        found = parsed(text)
    except SettingsError as e:
        assert "\n" not in str(e)
        return
    assert_within_the_wall(found)


def test_ten_thousand_flipped_bytes_never_crash_it_nor_pass_the_wall() -> None:
    dice = random.Random(46)
    data = GOOD.encode()
    for _ in range(int(os.environ.get("FLIPS", "10000")) // 4):  # four flips a file
        broken = bytearray(data)
        for _ in range(4):
            broken[dice.randrange(len(broken))] = dice.choice((dice.randrange(256), dice.choice(b"\"'\n\\;{}[]=0")))
        attempt(bytes(broken))


def test_each_single_byte_flipped_never_crashes_it() -> None:
    data = GOOD.encode()
    for i in range(len(data)):
        attempt(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])


def test_a_file_cut_at_any_offset_never_crashes_it() -> None:
    data = GOOD.encode()
    for i in range(len(data)):
        attempt(data[:i])


@given(st.text())
def test_arbitrary_text_never_raises_anything_else(text: str) -> None:
    try:
        assert_within_the_wall(parsed(text))
    except SettingsError:
        pass


@hypothesis_settings(max_examples=300)
@given(
    st.sampled_from([w[1] for w in WRONG if w[1].startswith('"')]),
    st.text(st.characters(exclude_characters='"\\', exclude_categories=("Cs", "Cc"))),
)
def test_arbitrary_text_in_the_place_of_a_value_never_passes_the_wall(old: str, new: str) -> None:
    attempt(changed(old, f'"{new}"').encode())


@hypothesis_settings(max_examples=300)
@given(st.text(max_size=40), st.sampled_from(["9.9.9.9", "[2620:fe::fe]", "/dns-query", "443"]))
def test_arbitrary_text_within_a_resolver_never_passes_the_wall(new: str, old: str) -> None:
    escaped = "".join(f"\\U{ord(c):08x}" for c in new if not 0xD800 <= ord(c) < 0xE000)
    attempt(GOOD.replace(old, escaped).encode())


@pytest.mark.parametrize("key", ["uri", "config"])
def test_a_secret_of_the_wrong_type_is_not_shown(key: str) -> None:
    text = f"""
[wan]
interface = "wan0"
[lan]
interface = "br-lan"
address = "192.168.77.1/24"
[[transport]]
name = "a"
{key} = ["ss://hidden-secret@203.0.113.5:8388"]
"""
    with pytest.raises(SettingsError, match=key) as caught:
        parse_settings(text, lambda _name: "")
    assert "hidden" not in str(caught.value)


BARE = GOOD.partition("[[transport]]")[0]
OBFS4 = "obfs4 192.0.2.1:443 " + "0A" * 20 + " cert=" + "A" * 70 + " iat-mode=0"


def known(path: str) -> str:
    assert path == "bridges.txt"
    return f"# known\n{OBFS4}\n192.0.2.2:1\n{OBFS4.replace('.1:', '.3:')}\n"


def test_without_a_transport_there_is_a_ladder_of_desync_and_tor_over_the_bridges_of_a_file() -> None:
    settings = parse_settings(BARE, known)
    assert settings.own_ladder
    assert list(settings.transports) == ["No server", "Tor (obfs4)", "Tor (plain)"]
    assert [entry.transport.server for entry in settings.enabled] == ["0.0.0.0", "192.0.2.1", "192.0.2.2"]


def test_beside_a_subscription_nothing_goes_straight_out_of_itself() -> None:
    """Its list would else be fetched, if ever, once the household had gone out in clear."""
    settings = parse_settings(BARE + '[[subscription]]\nname = "Aunt"\nurl = "https://panel.example/x"\n', known)
    assert list(settings.transports) == ["Tor (obfs4)", "Tor (plain)"]


def test_desync_may_be_written_out_and_its_strategy_is_read() -> None:
    text = BARE + '[[transport]]\nname = "d"\nkind = "desync"\n'
    assert parse_settings(text, known).transports["d"].transport == Desync()
    settings = parse_settings(text + 'strategy = "split(1,midsld)"\n', known)
    assert settings.transports["d"].transport == Desync("split(1,midsld)")
    for wrong in ('strategy = "splt(1)"', 'strategy = ""', "strategy = 7", 'bridges = ["x"]'):
        with pytest.raises(SettingsError, match=r"^transport\[0\]\.(strategy|bridges)"):
            parse_settings(text + wrong + "\n", known)


def test_the_owner_may_turn_that_off_and_a_transport_of_his_own_does() -> None:
    off = parse_settings(BARE.replace("[policy]", "[policy]\nbuiltin = false"), known)
    assert (off.own_ladder, dict(off.transports)) == (False, {})
    own = parse_settings(GOOD, known)
    assert (own.own_ladder, list(own.transports)) == (False, ["home", "école 2"])


def test_a_bad_line_in_that_file_is_the_owners_to_mend() -> None:
    with pytest.raises(SettingsError, match=r"^bridges.txt: .*iat-mode"):
        parse_settings(BARE, lambda _: OBFS4[:-2] + "9")


def test_tor_may_be_written_out_and_its_secrets_are_in_no_error() -> None:
    settings = parse_settings(BARE + f'[[transport]]\nname = "t"\nkind = "tor"\nbridges = ["{OBFS4}"]\n', known)
    assert settings.transports["t"].transport == parse(OBFS4).transport
    for wrong in ('bridges = "secret"', 'bridges = ["obfs4 secret"]', 'bridges = [7]', 'secret = 1'):
        with pytest.raises(SettingsError, match=r"^transport\[0\]") as caught:
            parse_settings(BARE + f'[[transport]]\nname = "t"\nkind = "tor"\n{wrong}\n', known)
        assert "secret" not in str(caught.value) or wrong.startswith("secret")


def test_the_bridges_that_are_shipped_are_good_ones(tmp_path: Path) -> None:
    (tmp_path / "clearway.toml").write_text(BARE)
    file = ConfigFile(tmp_path / "clearway.toml", tmp_path)
    assert list(file.read().transports) == ["No server", "Tor (obfs4)", "Tor (snowflake)", "Tor (meek_lite)"]
    (tmp_path / "bridges.txt").write_text("192.0.2.2:1\n")
    assert list(file.read().transports) == ["No server", "Tor (plain)"]
