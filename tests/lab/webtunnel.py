"""A webtunnel bridge: nginx for a web site, one path of which leads to the real webtunnel-server, and that to the ORPort.

Debian 14's package `webtunnel` has both of its programs, and Debian 13 and older have none: tried where a machine has it.
"""

import secrets
import shutil
from dataclasses import dataclass

from routerd.host.engines import PATH

from .capture import Allowed
from .internet import NGINX
from .net import Host, Net, wait_until
from .pki import Authority
from .topology import server_host

NUMBER, INSIDE = 45, 15000
ADDRESS4, NAME = f"203.0.113.{NUMBER}", "web.servers.example"
HTTPS = Allowed(ADDRESS4, "tcp", 443)
PROGRAMS = ("webtunnel-client", "webtunnel-server")
SITE = """
server {{
    listen {address}:443 ssl; server_name {name}; ssl_certificate {cert}; ssl_certificate_key {key};
    location / {{ return 200 "an ordinary page"; }}
    location = {path} {{
        proxy_pass http://127.0.0.1:{inside}; proxy_http_version 1.1; proxy_buffering off;
        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; proxy_set_header Host $host;
    }}
}}
"""


def missing() -> str:
    gone = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    return f"not on this machine: {', '.join(gone)} (package webtunnel of Debian 14)" if gone else ""


@dataclass(slots=True)
class WebTunnel:
    host: Host
    path: str

    def line(self, fingerprint: str) -> str:
        return f"webtunnel [2001:db8:113::99]:443 {fingerprint} url=https://{NAME}{self.path} ver=0.0.1"

    def visits(self) -> int:
        """How often somebody came by the secret path."""
        return (self.host.directory / "access.log").read_text().count(self.path)


def start_webtunnel(net: Net, ca: Authority, bridge: tuple[str, int]) -> WebTunnel:
    host = server_host(net, "webtunnel", NUMBER)
    made = WebTunnel(host, f"/{secrets.token_urlsafe(12)}")
    cert = ca.issue(host.directory, "web", [NAME])
    site = SITE.format(address=ADDRESS4, name=NAME, cert=cert.cert, key=cert.key, path=made.path, inside=INSIDE)
    config = host.directory / "nginx.conf"
    config.write_text(NGINX.format(dir=host.directory, servers=site))
    host.popen(["nginx", "-e", str(host.directory / "error.log"), "-c", str(config)])
    # What tor would say to it as its server's helper (pt-spec 3.2), with the ORPort of a bridge on another machine.
    told = {
        "TOR_PT_MANAGED_TRANSPORT_VER": "1",
        "TOR_PT_STATE_LOCATION": str(host.directory / "pt"),
        "TOR_PT_SERVER_TRANSPORTS": "webtunnel",
        "TOR_PT_SERVER_BINDADDR": f"webtunnel-127.0.0.1:{INSIDE}",
        "TOR_PT_SERVER_TRANSPORT_OPTIONS": f"webtunnel:url=https://{NAME}{made.path}",
        "TOR_PT_ORPORT": f"{bridge[0]}:{bridge[1]}",
    }
    host.popen(["webtunnel-server"], env=told)
    wait_until(lambda: host.listens("tcp", 443) and host.listens("tcp", INSIDE), 10, f"webtunnel; see {host.directory}")
    return made
