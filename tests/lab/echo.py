"""UDP service, run as a program: echo TOKEN ADDRESS,PORT...; answers `TOKEN PEER PAYLOAD` from where it was asked."""

import selectors
import socket
import sys

from .net import SO_RCVBUFFORCE


def serve(token: bytes, ends: list[tuple[str, int]]) -> None:
    """For ever; each wake-up empties a socket's queue, which is what keeps up with 10,000 datagrams per second."""
    selector = selectors.DefaultSelector()
    for address, port in ends:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        sock.bind((address, port))
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ, sock)
    while True:
        for key, _ in selector.select():
            answer_all(key.data, token)


def answer_all(sock: socket.socket, token: bytes) -> None:
    while True:
        try:
            payload, peer = sock.recvfrom(65535)
        except BlockingIOError:
            return
        try:
            sock.sendto(b"%s %s %s" % (token, peer[0].encode(), payload), peer)
        except OSError:  # ICMP errors of earlier answers surface here; the next peer does not care
            continue


if __name__ == "__main__":
    serve(sys.argv[1].encode(), [(a, int(p)) for a, _, p in (end.rpartition(",") for end in sys.argv[2:])])
