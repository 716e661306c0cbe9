"""Servers of tunnels that no plain client of ours speaks: as recipes.py, but their client is the product alone."""

import secrets
from collections.abc import Callable
from dataclasses import replace

from routerd.host.engines import lacking
from routerd.transports import KINDS

from .recipe import Recipe, Seat, bracket
from .recipes import wireguard
from .topology import IODINE, TUNNEL_DOMAIN


def _static_key() -> str:
    """As `openvpn --genkey secret` writes it."""
    digits = secrets.token_hex(256)
    lines = [digits[at:at + 32] for at in range(0, 512, 32)]
    return "\n".join(["-----BEGIN OpenVPN Static key V1-----", *lines, "-----END OpenVPN Static key V1-----"])


def _openvpn(seat: Seat, proto: str, wrapped: str) -> Recipe:
    """Client and server have certificates of the lab's CA; the client its name and password too. The link is a file."""
    key, ca, cert, private = _static_key(), seat.ca.read_text(), seat.cert.cert.read_text(), seat.cert.key.read_text()
    direction = {"tls-auth": ("key-direction 0\n", "key-direction 1\n")}.get(wrapped, ("", ""))
    conf = (f"mode server\ntls-server\ndev tun0\ndev-type tun\nproto {proto}6{'-server' if proto == 'tcp' else ''}\n"
            f"port 1194\ntopology subnet\nserver 10.8.0.0 255.255.255.0\nserver-ipv6 fd08::/64\ndh none\n"
            f"verify-client-cert require\nverb 3\nkeepalive 5 30\n"
            f'push "redirect-gateway def1 ipv6"\npush "dhcp-option DNS 192.0.2.53"\npush "route 198.51.100.0 255.255.255.0"\n'
            f"{direction[0]}<{wrapped}>\n{key}\n</{wrapped}>\n<ca>\n{ca}</ca>\n<cert>\n{cert}</cert>\n<key>\n{private}</key>\n")

    def link(host: str) -> str:
        return (f"client\ndev tun\nproto {proto}\nremote {host} 1194\nresolv-retry infinite\nnobind\n"
                f"persist-key\npersist-tun\nremote-cert-tls server\nverify-x509-name {seat.hostname} name\n"
                f"script-security 2\nup /etc/openvpn/update-resolv-conf\nverb 3\n{direction[1]}"
                f"<{wrapped}>\n{key}\n</{wrapped}>\n<ca>\n{ca}</ca>\n<cert>\n{cert}</cert>\n<key>\n{private}</key>\n")

    return Recipe("openvpn", 1194, (proto,), {"conf": conf}, lambda host: {}, link)


def openvpn(seat: Seat) -> Recipe:
    return _openvpn(seat, "udp", "tls-crypt")


def openvpn_tcp(seat: Seat) -> Recipe:
    return _openvpn(seat, "tcp", "tls-auth")


def iodine(seat: Seat) -> Recipe:
    """The link's host is the resolver: the server itself, or one that finds it by the tunnel's domain."""
    password = secrets.token_hex(8)

    def link(host: str) -> str:
        return f"iodine://{password}@{bracket(host)}:53?domain={TUNNEL_DOMAIN}#iodine"

    return Recipe("iodined", 53, ("udp",), {"password": password}, lambda host: {}, link)


def amneziawg(seat: Seat) -> Recipe:
    """WireGuard's recipe on other terms: junk, a false first packet, sizes and headers of its own."""
    made = wireguard(seat)
    low = [secrets.randbelow(2**29) + n * 2**30 + 5 for n in range(4)]
    both = [f"S{n} = {secrets.randbelow(40) + 15}" for n in (1, 2, 3, 4)]
    both += [f"H{n} = {first}-{first + secrets.randbelow(2**20)}" for n, first in enumerate(low, 1)]
    ours = [*both, "Jc = 4", "Jmin = 40", "Jmax = 200", "I1 = <b 0xc30000000108><r 16><rd 4><t><rc 20>"]

    def on(terms: list[str], conf: str) -> str:
        return conf.replace("[Interface]\n", "\n".join(["[Interface]", *terms, ""]), 1)

    return replace(made, engine="amneziawg", inbound={"conf": on(both, made.inbound["conf"])},
                   link=lambda host: on(ours, made.link(host)))


def naive(seat: Seat) -> Recipe:
    """Only a sing-box with Chromium's stack inside has the client; any with_quic has the server."""
    user = {"username": "lab", "password": secrets.token_urlsafe(12)}
    tls = {"enabled": True, "certificate_path": str(seat.cert.cert), "key_path": str(seat.cert.key)}
    server = {"type": "naive", "listen": "::", "listen_port": 443, "network": "tcp", "users": [user], "tls": tls}

    def link(host: str) -> str:
        return f"naive+https://lab:{user['password']}@{bracket(host)}:443?sni={seat.hostname}#naive"

    return Recipe("sing-box", 443, ("tcp",), server, lambda host: {}, link)


TUNNELS: dict[str, tuple[int, Callable[[Seat], Recipe]]] = {
    "openvpn": (60, openvpn), "openvpn-tcp": (61, openvpn_tcp), "iodine": (IODINE, iodine), "naive": (63, naive), "amneziawg": (65, amneziawg),
}

MAYBE = ("naive", "amneziawg")  # kinds whose engines no package brings: tried where a machine has them


def missing(kind: str) -> str:
    """What this machine lacks for one of these; empty where it has all."""
    return lacking(KINDS[kind].engine)
