"""The capture on the ISP's wire, and the verdict read off it: what the router sends must be allowed, or is a leak.

Allowed in every run: ARP, neighbour discovery and MLD, DHCP from port 68 to 67. The run's canary must not be on the
wire at all, whoever sent the frame. A capture that lost a frame is a failed run.
"""

import ipaddress
import re
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .net import Host, LabError, wait_until
from .servers import Server
from .verdict import IPV4, Allowed, Flow, Verdict, frames, judge, sent

BUFFER_KIB = 128 * 1024
SHARED_MEMORY = Path("/dev/shm")
UDP = 17
MARKER_TYPE = b"\x88\xb5"  # local experimental ethertype: nobody answers it

__all__ = ["Allowed", "Capture", "Verdict", "upstreams"]


def upstreams(server: Server) -> tuple[Allowed, ...]:
    """What a household that uses this server may send: its port, both families."""
    return tuple(Allowed(address, proto, server.port) for proto in server.protos
                 for address in (server.address4, server.address6))


@dataclass(slots=True)
class Capture:
    """A running tcpdump; `stop` gives the verdict. The file stays in memory (/dev/shm) until `stop`."""

    isp: Host
    file: Path
    program: subprocess.Popen[str]
    router_mac: bytes
    isp_mac: bytes
    allowed: list[Allowed]
    tokens: tuple[str, ...]

    @classmethod
    def start(cls, isp: Host, router: Host, allowed: Iterable[Allowed], tokens: Sequence[str],
              bulk: bool = False) -> "Capture":
        """Listening when this returns. `bulk`: for tens of thousands of small frames in a second; ends a second later.

        Where frames are handed over at once, each takes 64 KiB of the buffer, so that it holds 2,000; else they are packed.
        """
        file = SHARED_MEMORY / f"{isp.directory.parent.name}-{secrets.token_hex(4)}.pcap"
        # One write per frame (-U), so that the marker in `stop` proves that everything before it is in the file.
        argv = ["tcpdump", "-i", "cust0", "-n", "-s", "0", "-B", str(BUFFER_KIB), "-U",
                *([] if bulk else ["--immediate-mode"]), "-Z", "root", "-w", str(file)]
        log = isp.directory / f"{file.stem}.log"
        program = isp.popen(argv, log=file.stem)
        wait_until(lambda: "listening on" in log.read_text(), 5, f"tcpdump listens; see {log}")
        return cls(isp, file, program, _mac(router, "wan0"), _mac(isp, "cust0"), list(allowed), tuple(tokens))

    def allow(self, *allowed: Allowed) -> None:
        """Allow more; counts for the whole capture."""
        self.allowed.extend(allowed)

    def sent(self, address: str, since: float) -> list[tuple[float, Flow]]:
        """What the router sent to this address since then, so far; Unix times."""
        self._flush()
        return [(at, flow) for at, flow in sent(self.file.read_bytes(), self.router_mac, address) if at > since]

    def payloads(self, address: str) -> list[bytes]:
        """What the router sent to this IPv4 address by UDP, so far."""
        self._flush()
        wanted = ipaddress.IPv4Address(address).packed
        seen = [frame for _, frame in frames(self.file.read_bytes()) if frame[6:12] == self.router_mac]
        return [frame[42:] for frame in seen if frame[12:14] == IPV4 and frame[23] == UDP and frame[30:34] == wanted]

    def stop(self, keep: Path | None = None) -> Verdict:
        """End it and judge; LabError if frames were lost. `keep`: where to move the pcap file."""
        try:
            self._flush()
            self.program.send_signal(signal.SIGINT)
            self.program.wait(10)
            dropped = self._dropped()
            verdict = judge(self.file.read_bytes(), self.router_mac, self.allowed, self.tokens)
        finally:
            self.program.kill()
            self.program.wait(5)
            if keep and self.file.exists():
                keep.write_bytes(self.file.read_bytes())
            self.file.unlink(missing_ok=True)
        if dropped:
            raise LabError(f"the capture lost {dropped} frames: no verdict")
        return verdict

    def _flush(self) -> None:
        marker = secrets.token_bytes(16)
        start = self.file.stat().st_size
        frame = b"\x02\0\0\0\0\1" + self.isp_mac + MARKER_TYPE + marker + b"\0" * 32

        def send() -> None:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
                sock.bind(("cust0", 0))
                sock.send(frame)

        def seen() -> bool:
            with self.file.open("rb") as written:
                written.seek(start)
                return marker in written.read()

        self.isp.call(send)
        wait_until(seen, 10, "the capture caught up")

    def _dropped(self) -> int:
        words = (self.isp.directory / f"{self.file.stem}.log").read_text()
        found = re.search(r"(\d+) packets? dropped by kernel", words)
        if not found:
            raise LabError(f"tcpdump said nothing about lost frames: {words}")
        return int(found[1])


def _mac(host: Host, interface: str) -> bytes:
    return bytes.fromhex(host.sh(f"cat /sys/class/net/{interface}/address").strip().replace(":", ""))
