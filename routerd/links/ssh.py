"""ssh:// links with the server's keys in hk= and maybe the user's in pk= (no specification: as Hiddify writes them).

A link without the server's key is refused: whoever stands on the way could be the server.
"""

from __future__ import annotations

from base64 import b64encode

from routerd.links import wall
from routerd.links.stream import listed
from routerd.links.uri import server, split, user_and_password, written, written_user
from routerd.links.wall import LinkError
from routerd.transports.ssh import BEGIN, END, HOST_KEYS, Ssh

OPENSSH = b"openssh-key-v1\0"  # and then, with its length before it, the cipher (OpenSSH, PROTOCOL.key)
MOST_KEYS = 8


def ssh(text: str) -> tuple[str, Ssh]:
    uri = split(text)
    host, port = server(uri, "22")
    user, password = user_and_password(uri, wall.LONGEST_TEXT)
    keys = listed(uri.query.get("hk", ""))
    if not 1 <= len(keys) <= MOST_KEYS:
        raise LinkError("The link does not say which key the server has: hk=ssh-ed25519 AAAA… is needed.")
    private = private_key(uri.query["pk"]) if uri.query.get("pk") else ""
    if not password and not private:
        raise LinkError("The link has neither a password nor a private key (pk=).")
    return uri.name, Ssh(host, port, user or "root", tuple(map(host_key, keys)), password, private)


def host_key(value: str) -> str:
    """`ssh-ed25519 AAAA…` or the second part alone, which begins with the first (RFC 4253, 6.6)."""
    blob = wall.base64(value.split(" ")[-1].strip(), "server's key (hk=)")
    kind = blob[4 : 4 + int.from_bytes(blob[:4])].decode("ascii", "replace")
    return f"{wall.one_of(kind, tuple(HOST_KEYS), 'kind of server key (hk=)')} {b64encode(blob).decode()}"


def private_key(value: str) -> str:
    """The base64 between the dashes."""
    body = "".join(value.replace(BEGIN, "").replace(END, "").split())
    blob = wall.base64(body, "private key (pk=)")
    cipher = blob.removeprefix(OPENSSH)
    if not blob.startswith(OPENSSH):
        raise LinkError("The private key (pk=) is not one of OpenSSH.")
    if not cipher.startswith(b"\0\0\0\4none"):
        raise LinkError("The private key (pk=) is locked with a passphrase; a key without one is needed.")
    return b64encode(blob).decode()


def ssh_link(name: str, transport: Ssh) -> str:
    query = {"hk": ",".join(transport.host_keys), "pk": transport.private_key}
    user = written_user(transport.user, transport.password)
    return written("ssh", user, (transport.server, transport.port), query, name)
