"""OpenVPN's configuration files: what a client needs of them, with its certificates and keys inline.

Nothing in one is ever executed. Each directive is on a list: taken and judged, passed over (the box's own business, or
a program to be run), or refused with its reason. One that is on no list is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

from routerd.links import wall
from routerd.links.wall import LinkError
from routerd.transports.openvpn import MTU, Control, OpenVpn, Proto, blocks, written

LONGEST = 1 << 16
WORD = re.compile(r"[A-Za-z0-9:_+.@!-]{1,400}")
SUBJECT = re.compile(r"[A-Za-z0-9 :_+.@,=/*()-]{1,200}")
PEM = re.compile(r"-----BEGIN [A-Za-z0-9 -]+-----\n(?:[A-Za-z0-9+/=]{1,76}\n)+-----END [A-Za-z0-9 -]+-----")
CIPHERS = re.compile(r"(?:AES-(?:128|192|256)-(?:GCM|CBC)|CHACHA20-POLY1305)(?::(?!$)|$)", re.IGNORECASE)
MODERN = "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305"
CONTROLS = ("tls-crypt-v2", "tls-crypt", "tls-auth")
BLOCKS = {"ca", "cert", "key", "auth-user-pass", "connection", *CONTROLS}

# The box's own business (which way, with what addresses and names, as whom, how watched), or a program to be run.
_NOT_OURS = """
client tls-client pull nobind bind lport local dev-type dev-node persist-key persist-tun persist-local-ip
persist-remote-ip resolv-retry connect-retry connect-retry-max connect-timeout server-poll-timeout remote-random
remote-random-hostname float verb mute mute-replay-warnings replay-window status status-version log log-append
syslog daemon writepid nice user group chroot cd umask suppress-timestamps machine-readable-output errors-to-stderr
route route-ipv6 route-gateway route-metric route-delay route-method route-nopull route-noexec redirect-gateway
redirect-private dhcp-option dhcp-renew dhcp-release ip-win32 block-outside-dns block-ipv6 register-dns
setenv setenv-safe push-peer-info ignore-unknown-option pull-filter explicit-exit-notify keepalive ping ping-exit
ping-restart ping-timer-rem inactive reneg-sec reneg-bytes reneg-pkts hand-window tran-window auth-nocache
auth-retry sndbuf rcvbuf socket-flags txqueuelen fast-io multihome passtos mlock mark link-mtu mtu-disc mtu-test
management management-hold management-query-passwords management-signal management-log-cache allow-compression
allow-pull-fqdn topology ifconfig-nowarn ncp-disable tls-exit win-sys show-net-up disable-dco dns
script-security up down up-delay up-restart down-pre route-up route-pre-down ipchange plugin iproute echo
"""
PASSED_OVER = frozenset(_NOT_OURS.split())
REFUSED = {
    "secret": "The file has one static key for both sides, which OpenVPN has given up; ask for one with certificates.",
    "pkcs12": "The file wants a PKCS#12 bundle; ask for one with ca, cert and key inline.",
    "tls-verify": "The file has the server judged by a program; that is never run, and then nobody would judge it.",
    "scramble": "The server wants OpenVPN with the XOR patch, which is not supported.",
    "http-proxy": "The file goes through a proxy; set that up as a transport of its own, and name it in via.",
    "socks-proxy": "The file goes through a proxy; set that up as a transport of its own, and name it in via.",
    "askpass": "The private key has a pass phrase; take it off (openssl pkey) and put the key inline.",
    "static-challenge": "The server asks for a one-time code at each login, so nothing can reconnect by itself.",
}


@dataclass(slots=True)
class _Read:
    """What was found so far."""

    remotes: list[list[str]] = field(default_factory=list)
    single: dict[str, list[str]] = field(default_factory=dict)
    blocks: dict[str, str] = field(default_factory=dict)
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)


def ovpn(text: str) -> tuple[str, OpenVpn]:
    if len(text) > LONGEST:
        raise LinkError(f"The OpenVPN file is longer than {LONGEST} characters.")
    found = _Read()
    for number, line in _lines(text.lstrip("\ufeff").splitlines(), found):
        _take(found, line, number)
    return "", _transport(found)


def ovpn_link(_name: str, transport: OpenVpn) -> str:
    """A file that `ovpn` reads as the same transport."""
    lines = ["client", "dev tun", f"proto {transport.proto}", f"remote {transport.server} {transport.port}"]
    lines += [f"tun-mtu {transport.mtu}"] if transport.mtu != MTU else []
    lines += written(transport.options)
    lines += [f"key-direction {transport.direction}"] if transport.direction else []
    return "\n".join([*lines, *blocks(transport)]) + "\n"


def _lines(lines: list[str], found: _Read) -> Iterator[tuple[int, list[str]]]:
    """The words of each directive; inline blocks go into `found`, but <connection>, which is read as the rest is."""
    tag, block = "", list[str]()
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if tag and not line.startswith(f"</{tag}>"):  # OpenVPN looks no further either
            block.append(raw.strip("\r\n") if tag == "auth-user-pass" else line)
        elif tag:
            if tag in found.blocks:
                raise LinkError(f"The OpenVPN file has <{tag}> twice.")
            found.blocks[tag], tag = "\n".join(block), ""
        elif line in ("<connection>", "</connection>") or not line or line[0] in "#;":
            continue
        elif opened := re.fullmatch(r"<([a-z0-9-]+)>", line):
            tag, block = _known_block(opened[1], number), []
        else:
            yield number, _words(line, number)
    if tag:
        raise LinkError(f"The OpenVPN file ends within <{tag}>.")


def _known_block(tag: str, number: int) -> str:
    if tag not in BLOCKS:
        raise LinkError(REFUSED.get(tag, f"Line {number} of the OpenVPN file begins a block that is not supported."))
    return tag


def _words(line: str, number: int) -> list[str]:
    """As OpenVPN splits them, but without its escapes: a backslash, or a quote within a word, is refused."""
    found = re.findall(r'"([^"\\]*)"|\'([^\'\\]*)\'|([^\s"\'\\#;][^\s"\'\\]*)|([#;].*)|(\S)', line)
    if any(broken for *_, broken in found):
        raise LinkError(f"Line {number} of the OpenVPN file has quotes or backslashes that are not supported.")
    return [a or b or c for a, b, c, comment, _ in found if not comment]


def _take(found: _Read, words: list[str], number: int) -> None:
    name, values = (words or [""])[0].removeprefix("--"), words[1:]
    if name == "remote":
        found.remotes.append(values)
    elif name in ("port", "rport", "proto", "dev", "key-direction", "tun-mtu", "cipher", "data-ciphers"):
        found.single[name] = values
    elif name in ("ncp-ciphers", "data-ciphers-fallback"):  # the first is data-ciphers' old name
        found.single["cipher" if name == "data-ciphers-fallback" else "data-ciphers"] = values
    elif name in ("ca", "cert", "key", "auth-user-pass", *CONTROLS):
        _inline(found, name, values)
    elif name in OPTIONS:
        found.options[name] = (name, *OPTIONS[name](values))
    elif name == "ns-cert-type":  # what remote-cert-tls was before
        found.options["remote-cert-tls"] = ("remote-cert-tls", *_one("server")(values))
    elif name in REFUSED:
        raise LinkError(REFUSED[name])
    elif name and name not in PASSED_OVER:
        raise LinkError(f"Line {number} of the OpenVPN file has a directive that is not supported.")


def _inline(found: _Read, name: str, values: list[str]) -> None:
    if values and values[0] not in ("[inline]", "inline"):
        raise LinkError(
            f"The OpenVPN file names another file for {name}; put its text inline, between <{name}> and </{name}>."
        )
    if name == "auth-user-pass":
        found.single[name] = []
    elif len(values) > 1:
        found.single["key-direction"] = values[1:]


# -- directives that are taken, and what their words may be --------------------------------------------------------

Judge = Callable[[list[str]], tuple[str, ...]]


def _one(*allowed: str) -> Judge:
    return lambda values: (wall.one_of(values[0] if len(values) == 1 else "", allowed, "OpenVPN file's option"),)


def _optional(*allowed: str) -> Judge:
    return lambda values: _one(*allowed)(values) if values else ()


def _word(values: list[str]) -> tuple[str, ...]:
    if len(values) != 1 or not WORD.fullmatch(values[0]):
        raise LinkError("The OpenVPN file has an option with a value that is not supported.")
    return (values[0],)


def _number(low: int, high: int) -> Judge:
    return lambda values: (str(int(wall.number(values[0] if values else "", "OpenVPN file's number", low, high))),)


def _subject(values: list[str]) -> tuple[str, ...]:
    subject, *kind = values or [""]
    if len(kind) > 1 or not SUBJECT.fullmatch(subject):
        raise LinkError("The name that the server's certificate must have (verify-x509-name) is not a plain one.")
    return (subject, *(wall.one_of(k, ("subject", "name", "name-prefix"), "verify-x509-name") for k in kind))


OPTIONS: dict[str, Judge] = {
    "auth": _word,
    "tls-cipher": _word,
    "tls-ciphersuites": _word,
    "tls-groups": _word,
    "tls-cert-profile": _one("legacy", "preferred", "suiteb", "insecure"),
    "tls-version-min": _one("1.0", "1.1", "1.2", "1.3"),
    "tls-version-max": _one("1.2", "1.3"),
    "remote-cert-tls": _one("server"),
    "remote-cert-eku": _subject,
    "verify-x509-name": _subject,
    "comp-lzo": _optional("yes", "no", "adaptive"),
    "compress": _optional("lzo", "lz4", "lz4-v2", "stub", "stub-v2", "migrate"),
    "fragment": _number(100, 1500),
    "mssfix": _number(0, 1500),
}


# -- all of it together -------------------------------------------------------------------------------------------


def _transport(found: _Read) -> OpenVpn:
    if not found.remotes or "ca" not in found.blocks:
        raise LinkError(
            "The OpenVPN file needs a line remote HOST PORT, and its authority's certificate between <ca> and </ca>."
        )
    if not found.single.get("dev", ["tun"])[0:1] or not found.single.get("dev", ["tun"])[0].startswith("tun"):
        raise LinkError("The OpenVPN file is for a TAP bridge (dev tap); only dev tun is supported.")
    (host, port), proto = _place(found)
    control = cast(Control | None, next((c for c in CONTROLS if c in found.blocks), None))
    user, password = _login(found)
    private_key = pem(found.blocks.get("key", ""), "key")
    certificate = pem(found.blocks.get("cert", ""), "cert")
    if bool(private_key) != bool(certificate) or not (private_key or user):
        raise LinkError("The OpenVPN file needs cert and key inline, or a user's name and password, or all of them.")
    return OpenVpn(
        host,
        port,
        proto,
        pem(found.blocks["ca"], "ca"),
        certificate,
        private_key,
        control,
        pem(found.blocks[control], control) if control else "",
        _direction(found.single.get("key-direction", [])) if control == "tls-auth" else "",
        user,
        password,
        _options(found),
        min(MTU, int(_number(576, 65535)(found.single["tun-mtu"])[0])) if "tun-mtu" in found.single else MTU,
    )


def _place(found: _Read) -> tuple[tuple[str, int], Proto]:
    """The first of the servers."""
    words = [*found.remotes[0], "", "", ""]
    host, port, proto = words[0], words[1], words[2]
    port = port or (found.single.get("port") or found.single.get("rport") or ["1194"])[0]
    proto = proto or (found.single.get("proto") or ["udp"])[0]
    named = re.fullmatch(r"(udp|tcp)[46]?(-client)?", proto)
    if not named:
        raise LinkError("The OpenVPN file's proto is neither udp nor tcp.")
    return (wall.host(host), wall.port(port)), cast(Proto, named[1])


def _login(found: _Read) -> tuple[str, str]:
    if "auth-user-pass" not in found.blocks:
        if "auth-user-pass" in found.single:
            raise LinkError(
                "The server asks for a user's name and password: put them on two lines between <auth-user-pass> and "
                "</auth-user-pass>."
            )
        return "", ""
    user, password, *more = (*found.blocks["auth-user-pass"].split("\n"), "", "")
    if any(more[:-2]):
        raise LinkError(
            "Between <auth-user-pass> and </auth-user-pass> belong two lines: the user's name, the password."
        )
    return _login_line(user, "user's name"), _login_line(password, "password")


def _login_line(value: str, what: str) -> str:
    """A line of its own, that OpenVPN cannot take for the block's end: what follows would be a directive."""
    if value.lstrip().startswith("<"):
        raise LinkError(f"The {what} in the OpenVPN file begins with <, which OpenVPN would not take for one.")
    return wall.text(value, what)


def _direction(values: list[str]) -> str:
    return wall.one_of((values or [""])[0], ("", "0", "1", "bidirectional"), "key-direction").removeprefix(
        "bidirectional"
    )


def _options(found: _Read) -> tuple[tuple[str, ...], ...]:
    """With a cipher that only older servers have, where the file names one."""
    named = [*found.single.get("data-ciphers", []), *found.single.get("cipher", [])]
    ciphers = [c.upper() for value in named for c in value.split(":")]
    if any(not CIPHERS.fullmatch(c) for c in ciphers):
        raise LinkError("The OpenVPN file's cipher is not one that is supported: AES or ChaCha20-Poly1305 is.")
    every = ":".join(dict.fromkeys([*MODERN.split(":"), *ciphers]))
    fallback = [("data-ciphers-fallback", c.upper()) for c in found.single.get("cipher", [])]
    chosen = [("data-ciphers", every), *fallback] if ciphers else []
    return (*(found.options[name] for name in sorted(found.options)), *chosen)


def pem(text: str, what: str) -> str:
    """The blocks of PEM in `text`, without whatever stands around them."""
    found = PEM.findall(re.sub(r"[ \t\r]+$", "", text, flags=re.MULTILINE) + "\n")
    if (text.strip() and not found) or len(found) > 20:
        raise LinkError(f"What is between <{what}> and </{what}> in the OpenVPN file is not PEM text.")
    if "ENCRYPTED" in text:
        raise LinkError(REFUSED["askpass"])
    return "\n".join(found)
