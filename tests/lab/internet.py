"""What the household wants to reach: web sites (nginx), a UDP service, and resolvers (unbound).

Site `/` gives a page with `page_token(name)`, `/ip` the peer's address, `/generate_204` an empty 204, `/blob/N` N bytes
for N in BLOBS, `/slow` 1 MB at 16 KB/s. The UDP service answers on ports 443 and 7 of blocked.example and open.example.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from .net import Host
from .pki import Authority
from .topology import FRONT, IODINE, ISP_RESOLVER4, ISP_RESOLVER6, RESOLVERS4, RESOLVERS6, SITE, SITES, TUNNEL_DOMAIN, Site

BLOBS = (1_000, 16_000, 64_000, 256_000, 1_000_000, 10_000_000, 50_000_000, 200_000_000)
UDP_PORTS = (443, 7)
UDP_SITES = ("blocked.example", "open.example")

NGINX = """
user root; daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log {dir}/access.log; sendfile on; keepalive_timeout 65; default_type text/plain; server_tokens off;
    client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
    uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5; ssl_protocols TLSv1.2 TLSv1.3;
    {servers}
}}
"""
NGINX_SITE = """
server {{
    listen {a4}:80; listen [{a6}]:80; listen {a4}:443 ssl http2; listen [{a6}]:443 ssl http2;
    server_name {name}; ssl_certificate {cert}; ssl_certificate_key {key};
    {extra}
    location = / {{ default_type text/html; return 200 "<title>{name}</title>{token}\\n"; }}
    location = /ip {{ return 200 "$remote_addr\\n"; }}
    location = /generate_204 {{ return 204; }}
    location /blob/ {{ alias {blobs}/; }}
    location = /slow {{ limit_rate 16k; alias {blobs}/1000000; }}
}}
"""
BLOCK_PAGE = ("198.51.100.250", "2001:db8:5d::250")
PORTAL = ("198.51.100.251", "2001:db8:5d::251")
FORGER_SITE = """
server {{
    listen {a4}:80 default_server; listen [{a6}]:80 default_server;
    listen {a4}:443 ssl default_server; listen [{a6}]:443 ssl default_server;
    ssl_certificate {cert}; ssl_certificate_key {key};
    location / {{ default_type text/html; {answer} }}
}}
"""
CHANGED_SITE = """
server {{ listen {port} ssl; ssl_certificate {cert}; ssl_certificate_key {key}; location / {{ {answer} }} }}
"""
PAGE = 'return 200 "Welcome to our network.";'
FORBIDDEN = 'return 200 "<title>Access denied</title>By order of the ministry this page cannot be shown to you here.";'
LOGIN = "return 302 http://login.hotel.example/;"
IMPATIENT = "keepalive_timeout 1500ms; client_header_timeout 1500ms;"
UNBOUND = """
server:
    chroot: ""
    username: ""
    directory: "{dir}"
    pidfile: "{dir}/unbound-{stem}.pid"
    use-syslog: no
    logfile: ""
    do-daemonize: no
    interface: {a4}@53
    interface: {a6}@53
    {tls}
    access-control: 0.0.0.0/0 allow
    access-control: ::/0 allow
    module-config: "iterator"
    minimal-responses: yes
    local-zone: "." static
{data}
remote-control:
    control-enable: no
"""
UNBOUND_TLS = """interface: {a4}@853
    interface: {a6}@853
    interface: {a4}@443
    interface: {a6}@443
    tls-port: 853
    https-port: 443
    tls-service-pem: "{cert}"
    tls-service-key: "{key}\""""


# What a provider's resolver does with everybody's names: asks whose it is. iodined answers a question whose type is hidden
# first (RFC 9156, as unbound does it unless told otherwise) in a way that no resolver takes.
TUNNELLED = f"""
    qname-minimisation: no
    local-zone: "{TUNNEL_DOMAIN}" transparent
stub-zone:
    name: "{TUNNEL_DOMAIN}"
    stub-addr: 203.0.113.{IODINE}
"""


def page_token(token: str, site: str) -> str:
    """What the page of this site contains, and no other page of any run. Not the canary: it may cross the wire."""
    return f"page-of-{site}-{token[::-1]}"


@dataclass(frozen=True, slots=True)
class Names:
    """What the resolvers know: name -> addresses. `*.NAME` answers for everything below."""

    records: Mapping[str, Sequence[str]]

    def lines(self) -> str:
        out = []
        for name, addresses in self.records.items():
            plain = name.removeprefix("*.")
            out.append(f'    local-zone: "{plain}." {"redirect" if name.startswith("*.") else "static"}')
            for address in addresses:
                kind = "AAAA" if ":" in address else "A"
                out.append(f"    local-data: \"{plain}. 60 IN {kind} {address}\"")
        return "\n".join(out)


def blobs(directory: Path) -> Path:
    """Sparse files, so that 200 MB cost nothing."""
    made = directory / "blobs"
    made.mkdir(exist_ok=True)
    for size in BLOBS:
        with (made / str(size)).open("wb") as file:
            os.truncate(file.fileno(), size)
    return made


def start_sites(host: Host, sites: Sequence[Site], ca: Authority, files: Path, token: str) -> None:
    """nginx for these sites on this host."""
    parts = []
    for site in sites:
        cert = ca.issue(host.directory, site.name, [site.name, f"*.{site.name}", site.address4, site.address6])
        parts.append(NGINX_SITE.format(a4=site.address4, a6=site.address6, name=site.name, cert=cert.cert,
                                       key=cert.key, token=page_token(token, site.name), blobs=files,
                                       extra=IMPATIENT if site.name == FRONT else ""))
    config = host.directory / "nginx.conf"
    config.write_text(NGINX.format(dir=host.directory, servers="".join(parts)))
    host.popen(["nginx", "-e", str(host.directory / "error.log"), "-c", str(config)])


def reissue(host: Host, sites: Sequence[Site], ca: Authority, shift: timedelta) -> None:
    """Other dates for the sites' certificates: a box whose clock is off by `shift` sees such."""
    for site in sites:
        ca.issue(host.directory, site.name, [site.name, f"*.{site.name}", site.address4, site.address6], shift)
    host.run(["nginx", "-c", str(host.directory / "nginx.conf"), "-s", "reload"])


def start_forger(host: Host, forger: Authority) -> None:
    """What a censor answers in the place of others: a page on port 80, a forged certificate, a portal's login."""
    cert = forger.issue(host.directory, "forged", ["blocked.example"])
    parts = [FORGER_SITE.format(a4=BLOCK_PAGE[0], a6=BLOCK_PAGE[1], cert=cert.cert, key=cert.key, answer=FORBIDDEN),
             FORGER_SITE.format(a4=PORTAL[0], a6=PORTAL[1], cert=cert.cert, key=cert.key, answer=LOGIN)]
    config = host.directory / "forger.conf"
    text = NGINX.format(dir=host.directory, servers="".join(parts))
    config.write_text(text.replace("nginx.pid", "forger.pid").replace("access.log", "forger.log"))
    for a4, a6 in (BLOCK_PAGE, PORTAL):
        host.sh(f"ip addr add {a4}/32 dev eth0; ip -6 addr add {a6}/128 dev eth0 nodad")
    host.popen(["nginx", "-e", str(host.directory / "forger-error.log"), "-c", str(config)], log="forger")


def start_changed(host: Host, site: Site, port: int) -> None:
    """Somebody else's page with this site's own certificate, on all the host's addresses."""
    cert = host.directory / f"{site.name}.pem"
    config = host.directory / "changed.conf"
    part = CHANGED_SITE.format(port=port, cert=cert, key=cert.with_suffix(".key"), answer=PAGE)
    text = NGINX.format(dir=host.directory, servers=part)
    config.write_text(text.replace("nginx.pid", "changed.pid").replace("access.log", "changed.log"))
    host.popen(["nginx", "-e", str(host.directory / "changed-error.log"), "-c", str(config)], log="changed")


def start_udp_service(host: Host, token: str) -> None:
    """The UDP echo, one process for all its addresses."""
    ends = [f"{a},{port}" for name in UDP_SITES for a in (SITE[name].address4, SITE[name].address6)
            for port in UDP_PORTS]
    host.module("echo", page_token(token, "udp"), *ends)


def start_resolver(host: Host, index: int, names: Names, ca: Authority) -> None:
    """A public resolver: Do53, DoT, and DoH at /dns-query; its certificate names its addresses."""
    a4, a6 = RESOLVERS4[index], RESOLVERS6[index]
    cert = ca.issue(host.directory, f"resolver{index}", [f"dns{index + 1}.example", a4, a6])
    tls = UNBOUND_TLS.format(a4=a4, a6=a6, cert=cert.cert, key=cert.key)
    _unbound(host, f"resolver{index}", a4, a6, tls, names.lines())


def start_liar(host: Host, address: str, names: Names, ca: Authority) -> subprocess.Popen[str]:
    """A resolver at another address, with a certificate for the true ones' addresses; see poison.py."""
    cert = ca.issue(host.directory, "liar", ["liar.example", *RESOLVERS4])
    tls = UNBOUND_TLS.format(a4=address, a6="::1", cert=cert.cert, key=cert.key)
    return _unbound(host, "liar", address, "::1", tls, names.lines())


def start_isp_resolver(host: Host, names: Names) -> subprocess.Popen[str]:
    """The ISP's own, Do53 only; it tells the truth until it is started with other names."""
    return _unbound(host, "isp", ISP_RESOLVER4, ISP_RESOLVER6, "", f"{names.lines()}{TUNNELLED}")


def start_other_isp_resolver(host: Host, names: Names, address: str) -> subprocess.Popen[str]:
    """One more of the ISP's, as the first, at an address of its own."""
    host.sh(f"ip addr replace {address}/25 dev eth0")
    return _unbound(host, f"isp-{address}", address, "::1", "", f"{names.lines()}{TUNNELLED}")


def _unbound(host: Host, stem: str, a4: str, a6: str, tls: str, data: str) -> subprocess.Popen[str]:
    config = host.directory / f"unbound-{stem}.conf"
    config.write_text(UNBOUND.format(dir=host.directory, stem=stem, a4=a4, a6=a6, tls=tls, data=data))
    return host.popen(["unbound", "-d", "-c", str(config)], log=f"unbound-{stem}")


def true_names(servers: Mapping[str, Sequence[str]]) -> Names:
    """Every site, everything below canary.example (the load generator's), and the transport servers' names."""
    records: dict[str, Sequence[str]] = {site.name: (site.address4, site.address6) for site in SITES}
    blocked = SITE["blocked.example"]
    return Names({**records, "*.canary.example": (blocked.address4, blocked.address6), **servers})
