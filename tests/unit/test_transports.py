"""What each transport gives its engine, held against tests/golden/engines. REGOLD=1 rewrites."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from routerd.links import parse
from routerd.model import ENGINES as USERS
from routerd.model import UPSTREAM_SLOT, Launch, Link, Queue, Tproxy, mark
from routerd.render.exits import own
from routerd.transports import KINDS, Transport
from routerd.transports.shadowsocks import Shadowsocks
from routerd.transports.tor import Tor

ENGINES = Path(__file__).parents[1] / "golden" / "engines"
FOLDERS = sorted(folder for folder in ENGINES.iterdir() if folder.is_dir())
SLOT = 7


def transport(folder: Path) -> Transport:
    [source] = [*folder.glob("link.txt"), *folder.glob("wg.conf"), *folder.glob("client.ovpn")]
    return resolved(parse(source.read_text()).transport)


def resolved(named: Transport) -> Transport:
    try:
        ip_address(named.server)
    except ValueError:
        return replace(named, server="192.0.2.99")
    return named


def shown(launch: Launch) -> str:
    parts = {
        "argv": launch.argv,
        "exit": exit_shown(launch.exit),
        "upstreams": [f"{u.proto} {u.address or 'anywhere'} {u.first}-{u.last}" for u in launch.upstreams],
        "stdin": stdin_shown(launch.stdin),
        **({"helpers": helpers_shown(launch)} if launch.helpers else {}),
    }
    return json.dumps(parts, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def helpers_shown(launch: Launch) -> dict[str, list[str]]:
    return {f"{each.carries}: {' or '.join(each.programs)}": each.config.splitlines() for each in launch.helpers}


def stdin_shown(text: str) -> object:
    return json.loads(text) if text.startswith("{") else text.splitlines() if text else ""


def exit_shown(exit: Tproxy | Link | Queue) -> object:
    match exit:
        case Tproxy(port, udp, ipv6):
            return {"port": port, "udp": udp, "ipv6": ipv6}
        case Link(ifname, addresses, mtu, wireguard):
            return [ifname, [str(a) for a in addresses], mtu, wireguard.splitlines()]
        case Queue(number):
            return {"queue": number}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_engine_is_given_what_the_golden_file_says(folder: Path) -> None:
    golden = folder / "config.json"
    found = shown(transport(folder).launch("golden", SLOT))
    if os.environ.get("REGOLD"):
        golden.write_text(found)
    assert found == golden.read_text()


def test_every_kind_has_a_golden_folder() -> None:
    assert {type(transport(folder)) for folder in FOLDERS} == set(KINDS.values())


@pytest.mark.parametrize("via", [UPSTREAM_SLOT, 9])
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_engines_own_packets_carry_the_mark_of_the_way_they_go(folder: Path, via: int) -> None:
    launch = transport(folder).launch("golden", SLOT, via)
    match launch.argv[0]:
        case "sing-box":
            # One that goes through another one opens no connection of its own.
            [found] = [out["routing_mark"] for out in json.loads(launch.stdin)["outbounds"] if "detour" not in out]
        case "xray":
            found = json.loads(launch.stdin)["outbounds"][0]["streamSettings"]["sockopt"]["mark"] & 0xFFFFFFFF
        case "tor":
            assert not launch.marks
            via = UPSTREAM_SLOT  # whatever it is told: chain.py lets it travel inside nothing
            [rule] = [line for line in own("wan0", [launch]) if f"meta skuid {USERS + SLOT} " in line]
            found = int(rule.rpartition(" or ")[2].split()[0], 16)
        case "desync":
            assert launch.via == UPSTREAM_SLOT  # no packets of its own: the household's, with a mark of theirs
            return
        case "dns-tunnel":
            found = json.loads(launch.stdin)["mark"]
        case "openvpn":
            found = int(launch.stdin.partition("\nmark ")[2].split()[0])
        case _:
            assert isinstance(launch.exit, Link)
            found = int(launch.exit.wireguard.partition("FwMark = ")[2].split()[0], 16)
    assert found == mark(via)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_secrets_are_neither_in_argv_nor_in_the_repr(folder: Path) -> None:
    found = transport(folder)
    secrets = [
        str(getattr(found, name))
        for name in ("password", "uuid", "private_key", "preshared_key", "obfs_password", "cover_password", "control_key")
        if getattr(found, name, "")
    ]
    secrets += [value for key, value in getattr(found, "terms", ()) if key == "HeaderProtectionKey"]
    bridges = found.bridges if isinstance(found, Tor) else ()
    secrets += [value for bridge in bridges for value in (bridge.fingerprint, *dict(bridge.arguments).values()) if len(value) > 4]
    launch = found.launch("golden", SLOT)
    assert secrets or folder.name == "socks4" or found == Tor() or found.kind == "desync"
    assert not [s for s in secrets if s in repr(found) or s in repr(launch) or s in " ".join(launch.argv)]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_a_transport_says_of_itself_is_what_it_launches(folder: Path) -> None:
    found = transport(folder)
    launch, carries = found.launch("golden", SLOT), found.carries
    assert launch.argv[0] == found.engine.name
    match launch.exit:
        case Tproxy(_, udp, ipv6, quic):
            assert (udp, ipv6, quic) == (carries.udp, carries.ipv6, carries.quic)
        case Link(ipv6=ipv6):
            assert (True, ipv6, True) == (carries.udp, carries.ipv6, carries.quic)
        case Queue(_, udp, ipv6):
            assert (udp, ipv6, True, True) == (carries.udp, carries.ipv6, carries.quic, carries.straight)


def test_a_server_that_is_still_a_name_cannot_be_launched() -> None:
    with pytest.raises(ValueError, match="IPv4 or IPv6"):
        Shadowsocks("ss.example.com", 8388, "aes-256-gcm", "x").launch("ss", SLOT)
