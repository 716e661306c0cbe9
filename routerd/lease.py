"""The line's own resolver: which of those that its lease names is asked, where a DNS tunnel names none itself. Pure.

A lease is a stranger's word: nobody at home, nobody on this box and no group of hosts is ever asked.
"""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network

from routerd.model import OF_THE_LINE, Address, State
from routerd.settings import Entry, Settings

THIS_NETWORK = ip_network("0.0.0.0/8")


def resolver(settings: Settings, state: State) -> Address | None:
    """The first that may be asked."""
    return next((address for address in state.resolvers if _is_usable(settings, address)), None)


def asks_it(entry: Entry) -> bool:
    return entry.transport.server == OF_THE_LINE


def without_one(settings: Settings, state: State) -> tuple[str, ...]:
    """The transports that wait for a lease to name one."""
    if resolver(settings, state) is not None:
        return ()
    return tuple(entry.name for entry in settings.enabled if asks_it(entry))


def _is_usable(settings: Settings, address: Address) -> bool:
    home = [own.network for own in (settings.address, settings.address6) if own is not None]
    nobody = address.is_multicast or address.is_unspecified or address.is_reserved
    near = address.is_loopback or address.is_link_local or any(address in network for network in home)
    return not (nobody or near or (isinstance(address, IPv4Address) and address in THIS_NETWORK))
