"""Probe targets that fail by themselves, wherever one comes from: no transport's fault, and no censor's."""

import contextlib
from collections.abc import Iterator

from . import internet
from .lab import Lab
from .net import wait_until
from .topology import SITE

OTHER = SITE["blocked.example"].address4
PORT = 4443


def down(lab: Lab, name: str) -> contextlib.AbstractContextManager[None]:
    """Silence."""
    return _instead(lab, name, f"chain in {{ type filter hook input priority 0; ip daddr {SITE[name].address4} drop; }}")


def forged(lab: Lab, name: str) -> contextlib.AbstractContextManager[None]:
    """TLS with another site's certificate."""
    return _instead(lab, name, _elsewhere(name, f"dnat ip to {OTHER}"))


@contextlib.contextmanager
def changed(lab: Lab, name: str) -> Iterator[None]:
    """The right certificate, and an answer that is not the target's."""
    if not lab.sites.listens("tcp", PORT):
        internet.start_changed(lab.sites, SITE[name], PORT)
        wait_until(lambda: lab.sites.listens("tcp", PORT), 5, "the changed answer is there")
    with _instead(lab, name, _elsewhere(name, f"redirect to :{PORT}")):
        yield


def _elsewhere(name: str, verdict: str) -> str:
    return (f"chain pre {{ type nat hook prerouting priority -100; "
            f"ip daddr {SITE[name].address4} tcp dport 443 {verdict}; }}")


@contextlib.contextmanager
def _instead(lab: Lab, name: str, chain: str) -> Iterator[None]:
    table = f"table inet target_{name.split('.')[0]}"
    lab.sites.run(["nft", "-f", "-"], input=f"{table} {{ {chain}; }}")
    try:
        yield
    finally:
        lab.sites.sh(f"nft delete {table}")
