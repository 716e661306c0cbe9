"""The WAN as a person would check it: a carrier, an address and a way out, and the resolvers that the provider gave."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from pyroute2 import AsyncIPRoute

from routerd.diagnosis import Line
from routerd.host.monitor import wan_is_up

# systemd-resolved and NetworkManager keep what the lease said beside the stub that they put into /etc/resolv.conf.
LEASED = ("/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf", "/etc/resolv.conf")
GLOBAL = 0  # RT_SCOPE_UNIVERSE


async def line_of(wan: str) -> Line:
    """`no_lease`: a carrier, but no address or no default route of either family."""
    # A socket of its own: the kernel refuses a second dump (EBUSY) while another one runs over the same socket.
    async with AsyncIPRoute() as netlink:
        return await _line(netlink, wan)


async def _line(netlink: AsyncIPRoute, wan: str) -> Line:
    index = None
    async for link in await netlink.get_links():
        if link.get_attr("IFLA_IFNAME") == wan and link.get_attr("IFLA_OPERSTATE") in ("UP", "UNKNOWN"):
            index = link["index"]
    if index is None:
        return "no_carrier"
    addressed = [m async for m in await netlink.get_addr(index=index, scope=GLOBAL)]
    return "up" if addressed and await wan_is_up(netlink, wan) else "no_lease"


def resolvers_of_provider(files: tuple[str, ...] = LEASED) -> tuple[str, ...]:
    """Those of the first file that names any; a resolver on this box is not the provider's."""
    for name in files:
        if found := tuple(_nameservers(Path(name))):
            return found
    return ()


def _nameservers(file: Path) -> Iterator[str]:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return
    for words in map(str.split, lines):
        if words[:1] == ["nameserver"] and len(words) > 1 and _is_elsewhere(words[1]):
            yield words[1]


def _is_elsewhere(text: str) -> bool:
    try:
        return not ip_address(text).is_loopback and "%" not in text
    except ValueError:
        return False
