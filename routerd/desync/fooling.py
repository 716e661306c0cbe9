"""What makes a server drop a decoy that a censor takes. Pure.

Each is what Linux does (net/ipv4/tcp_input.c), and whatever else follows RFC 9293; tests/host/test_desync_tcp.py shows
it on this kernel. Where one would do nothing (no hop distance, no timestamps), no decoy is sent.
"""

from __future__ import annotations

from dataclasses import replace

from routerd.desync.packet import ACK, Packet
from routerd.desync.steps import Fooling

MD5 = bytes([1, 1, 19, 18])  # two NOPs, and a signature (RFC 2385) that no server has agreed on
LONGEST_OPTIONS = 40
BEHIND = 100_000  # bytes before the window: more than anybody keeps open at a connection's beginning
AHEAD = 1 << 29  # bytes that were never sent, acknowledged: thrown away (RFC 9293, 3.10.7.4)
AGE = 1 << 29  # of a timestamp: older than what was seen, so a duplicate (RFC 7323, 5)
FAR = 4  # hops from which on one is left out for a way there that is shorter than the way back


def fooled(decoy: Packet, fooling: Fooling, hops: int | None) -> tuple[Packet, ...]:
    """The decoy as it is to be sent; none where it might be taken."""
    match fooling.by:
        case "ttl":
            return _short_lived(decoy, fooling.ttl, hops)
        case "badsum":
            return (replace(decoy, bad_checksum=True),)
        case "badseq":
            return (replace(decoy, seq=(decoy.seq - BEHIND) & 0xFFFFFFFF),)
        case "badack":
            return (replace(decoy, ack=(decoy.ack + AHEAD) & 0xFFFFFFFF),)
        case "noack":
            return (replace(decoy, flags=decoy.flags & ~ACK, ack=0),)
        case "md5":
            return _signed(decoy)
        case "oldts":
            return _aged(decoy)


def _short_lived(decoy: Packet, ttl: int, hops: int | None) -> tuple[Packet, ...]:
    """Ends at the last router before the server, or one before that; never behind it, where that is known."""
    if ttl:
        return (replace(decoy, ttl=min(ttl, hops) if hops else ttl),)
    if not hops:
        return ()
    return (replace(decoy, ttl=hops - (hops >= FAR)),)


def _signed(decoy: Packet) -> tuple[Packet, ...]:
    options = _without_end(decoy.options)
    if len(options) + 20 > LONGEST_OPTIONS:
        return ()
    return (replace(decoy, options=options + MD5 + (decoy.seq.to_bytes(4) * 4)),)


def _without_end(options: bytes) -> bytes:
    """What stands behind an end of options is not read."""
    at = 0
    while at < len(options) and options[at]:
        at += 1 if options[at] == 1 else max(2, options[at + 1] if at + 1 < len(options) else 2)
    return options[:at]


def _aged(decoy: Packet) -> tuple[Packet, ...]:
    options = decoy.options
    at = 0
    while at < len(options) and options[at]:
        if options[at] == 8 and options[at + 1 : at + 2] == b"\x0a" and at + 10 <= len(options):
            old = (int.from_bytes(options[at + 2 : at + 6]) - AGE) & 0xFFFFFFFF
            return (replace(decoy, options=options[: at + 2] + old.to_bytes(4) + options[at + 6 :]),)
        at += 1 if options[at] == 1 else max(2, options[at + 1] if at + 1 < len(options) else 2)
    return ()
