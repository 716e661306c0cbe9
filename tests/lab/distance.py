"""More routers between the exchange and the sites, for tests of what dies on the way: the lab's own two are few.

    router -- isp (the censor) -- exchange -- far1 -- ... -- farN -- sites
"""

from itertools import pairwise

from .lab import Lab
from .net import Host, link
from .topology import FORWARDING

GATE4, GATE6 = "198.51.100.1/25", "2001:db8:51::1/64"  # the sites' way out, on whoever stands before them
SITES4, SITES6 = "198.51.100.0/25", "2001:db8:51::/64"


def farther(lab: Lab, more: int, shortcut: bool = False) -> int:
    """So many routers more, once, for the rest of the lab's life; how many there are from the box to the sites.

    `shortcut`: the way there leaves the first of them out, the way back does not.
    """
    chain = [lab.net.hosts["exchange"], *lab.net.add(*(f"far{number}" for number in range(1, more + 1)))]
    # It is the same wire: the sites keep their addresses, and whom they know by ARP.
    chain[0].run(["ip", "link", "set", "sites0", "netns", str(chain[-1].pid)])
    chain[-1].sh(f"ip addr add {GATE4} dev sites0; ip -6 addr add {GATE6} dev sites0 nodad; ip link set sites0 up")
    for number, (near, far) in enumerate(pairwise(chain), 1):
        _joined(near, far, number)
        _there(near, number)
        far.sh(f"ip route add default via {_ends(number)[0]}; ip -6 route add default via {_ends(number, 6)[0]}")
    if shortcut:
        _joined(chain[0], chain[2], more + 1)
        _there(chain[0], more + 1)
    return more + 2


def _joined(near: Host, far: Host, number: int) -> None:
    link(near, f"to{number}", far, f"from{number}")
    for host, end, side in ((near, f"to{number}", 0), (far, f"from{number}", 1)):
        addresses = f"ip addr add {_ends(number)[side]}/30 dev {end}; ip -6 addr add {_ends(number, 6)[side]}/64 dev {end} nodad"
        host.sh(f"{FORWARDING}{addresses}")


def _there(near: Host, number: int) -> None:
    near.sh(f"ip route replace {SITES4} via {_ends(number)[1]}; ip -6 route replace {SITES6} via {_ends(number, 6)[1]}")


def _ends(number: int, family: int = 4) -> tuple[str, str]:
    """Addresses of both ends of a wire."""
    if family == 6:
        return f"2001:db8:fa{number}::1", f"2001:db8:fa{number}::2"
    return f"100.64.{100 + number}.1", f"100.64.{100 + number}.2"
