"""Loads rulesets through libnftables, in this process: a switch is one transaction of a few milliseconds.

The kernel takes all of a batch or none of it. What was loaded is read back and compared by the comments of its rules.
"""

from __future__ import annotations

import ctypes
import re
import socket
import struct
from dataclasses import dataclass, field

from routerd.host import nfnetlink

_STATELESS = 1 << 2  # NFT_CTX_OUTPUT_STATELESS, nftables/libnftables.h: what a counter has counted is no difference


class NftError(RuntimeError):
    """The kernel or the parser refused; the message is libnftables' own first line."""


class Nft:
    """One libnftables context. Not for use by several threads."""

    def __init__(self) -> None:
        try:
            self._lib = ctypes.CDLL("libnftables.so.1")
        except OSError as e:
            raise NftError("libnftables is missing; install Debian's package nftables") from e
        self._lib.nft_ctx_new.restype = ctypes.c_void_p
        self._lib.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        self._lib.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
        self._context = ctypes.c_void_p(self._lib.nft_ctx_new(0))
        self._lib.nft_ctx_buffer_output(self._context)
        self._lib.nft_ctx_buffer_error(self._context)
        self._lib.nft_ctx_output_set_flags(self._context, _STATELESS)

    def run(self, text: str) -> str:
        failed = self._lib.nft_run_cmd_from_buffer(self._context, text.encode())
        output: bytes = self._lib.nft_ctx_get_output_buffer(self._context)
        error: bytes = self._lib.nft_ctx_get_error_buffer(self._context)
        if failed:
            raise NftError(_first_line(error.decode(errors="replace")))
        return output.decode(errors="replace")

    def check(self, text: str) -> None:
        """Parses `text` and asks the kernel, and changes nothing."""
        self._lib.nft_ctx_set_dry_run(self._context, ctypes.c_bool(True))
        try:
            self.run(text)
        finally:
            self._lib.nft_ctx_set_dry_run(self._context, ctypes.c_bool(False))

    def listing(self, table: str) -> str:
        """The table as the kernel has it, or nothing where there is none."""
        try:
            return self.run(f"list table inet {table}")
        except NftError:
            return ""


def _first_line(error: str) -> str:
    lines = [line for line in error.splitlines() if line.strip()]
    return lines[0].strip()[:300] if lines else "nftables refused, without saying why"


def outline(text: str) -> dict[str, list[str]]:
    """Each chain's rules by their comments: what a text and the kernel's listing of it must share."""
    found: dict[str, list[str]] = {}
    chain = ""
    for line in text.splitlines():
        if (match := re.match(r"\s*chain (\w+) \{", line)) or (match := re.match(r"add rule inet \w+ (\w+) ", line)):
            chain = match[1]
        if match := re.search(r'comment "clearway: ([^"]*)"', line):
            found.setdefault(chain, []).append(match[1])
    return found


# -- a table that nobody else can flush ---------------------------------------------------------------------------

_SUBSYS_NFT = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NFPROTO_INET = 1
_OWNER, _PERSIST = 0x2, 0x4  # include/uapi/linux/netfilter/nf_tables.h; `persist` since Linux 6.9


@dataclass(slots=True)
class OwnedTable:
    """A table under `owner`+`persist`: no other program's `nft flush ruleset` removes it, nor does our death.

    nft before 1.1 cannot say `persist`, so the table itself is made over netlink: first persistent and without owner,
    then filled by libnftables, then taken (the kernel calls it adopting an orphan). Older kernels refuse the flag;
    the table is then an ordinary one, and `locked` says so.
    """

    name: str
    locked: bool = False
    _socket: socket.socket | None = field(default=None, repr=False)

    def load(self, nft: Nft, text: str) -> None:
        """Puts `text` in place of whatever the table holds; the other layers stand meanwhile."""
        self.release()
        if nft.listing(self.name):
            nft.run(f"delete table inet {self.name}\n")
        persistent = self._table(_PERSIST) == 0
        body = text.replace(f"table inet {self.name} {{", "", 1).rsplit("}", 1)[0]
        nft.run(_as_commands(self.name, body) if persistent else text)
        self.adopt()

    def adopt(self) -> None:
        """Takes the table over from a process that is gone. Holds it until `release` or our end."""
        self.locked = self._table(_OWNER | _PERSIST) == 0

    def release(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket, self.locked = None, False

    def _table(self, flags: int) -> int:
        """The kernel's errno for NEWTABLE with `flags`; 0 when it did."""
        if self._socket is None:
            self._socket = nfnetlink.connect()
        attributes = nfnetlink.attribute(1, self.name.encode() + b"\0") + nfnetlink.attribute(
            2, struct.pack(">I", flags)
        )
        asked = nfnetlink.REQUEST | nfnetlink.ACK | nfnetlink.CREATE
        batch = nfnetlink.message(_BATCH_BEGIN, nfnetlink.REQUEST, 0, _SUBSYS_NFT, b"")
        batch += nfnetlink.message(_SUBSYS_NFT << 8, asked, _NFPROTO_INET, 0, attributes)
        batch += nfnetlink.message(_BATCH_END, nfnetlink.REQUEST, 0, _SUBSYS_NFT, b"")
        return nfnetlink.ask(self._socket, batch)


def _as_commands(table: str, body: str) -> str:
    """`table X { chain Y {...} }` would set the table's flags to none; chains and rules one by one do not."""
    commands: list[str] = []
    chain = ""
    for line in (line.strip() for line in body.splitlines()):
        if match := re.fullmatch(r"chain (\w+) \{", line):
            chain = match[1]
        elif line.startswith("type "):
            commands.append(f"add chain inet {table} {chain} {{ {line} }}")
        elif line and line != "}":
            commands.append(f"add rule inet {table} {chain} {line}")
    return "\n".join(commands) + "\n"
