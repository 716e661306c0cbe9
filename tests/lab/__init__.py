"""The lab: household, router, censor and internet in network namespaces that a run makes and removes.

    with Lab.up(servers=["vless-reality"]) as lab, lab.censor(sni_reset(["blocked.example"])): ...
"""

from .antitest import KINDS, anti_test, plain_router
from .capture import Capture, upstreams
from .household import Counts, Load, Pulse, udp_answer
from .lab import Lab
from .net import Host, LabError, wait_until
from .servers import Server
from .verdict import DHCP6, Allowed, Leak, Verdict

__all__ = [
    "DHCP6", "KINDS", "Allowed", "Capture", "Counts", "Host", "Lab", "LabError", "Leak", "Load",
    "Pulse", "Server", "Verdict", "anti_test", "plain_router", "udp_answer", "upstreams", "wait_until",
]
