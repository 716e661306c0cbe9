"""Resolvers that lie to one exit: what asks the public resolvers from there gets a liar with their certificates.

No censor of the ISP's can do that to DoH: it stands for a network behind the exit that lies, or a resolver that does.
"""

import contextlib
from collections.abc import Iterator, Sequence

from . import internet
from .internet import Names
from .lab import Lab
from .net import wait_until

LIAR = "192.0.2.66"
TABLE = f"table inet poison {{ chain pre {{ type nat hook prerouting priority -100; ip saddr EXIT dnat ip to {LIAR}; }}; }}"
GONE = "table inet poison\ndelete table inet poison\n"


def prepare(lab: Lab, names: Sequence[str], answers: Sequence[str]) -> None:
    """Start the liar: all names below these get these answers, the rest the truth. Once."""
    lab.resolvers.sh(f"ip addr add {LIAR}/24 dev eth0; nft add table inet poison")
    lies = {f"*.{name}": answers for name in names}
    true = {name: found for name, found in lab.names.records.items() if name.removeprefix("*.") not in names}
    internet.start_liar(lab.resolvers, LIAR, Names({**true, **lies}), lab.ca)
    wait_until(lambda: lab.resolvers.sh(f"ss -Hltn src {LIAR}:443") != "", 5, "the liar listens")


@contextlib.contextmanager
def poisoned(lab: Lab, exit4: str) -> Iterator[None]:
    """What is open already is reset, so that it bites at once; a connection made through another exit would last."""
    cut = "ss -K '( sport = :443 or sport = :853 )' >/dev/null"
    lab.resolvers.sh(f"nft -f - <<'.'\n{GONE}{TABLE.replace('EXIT', exit4)}\n.\n{cut}")
    try:
        yield
    finally:
        lab.resolvers.sh(f"nft -f - <<'.'\n{GONE}table inet poison {{ }}\n.\n{cut}")
