"""Each stage of a diagnosis against a server of a kind, on loopback of a namespace of its own: what it saw, in a word."""

import asyncio
import socket
import ssl
import struct
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from routerd.host.lease import Lease
from routerd.host.wan import line_of, resolvers_of_provider
from routerd.model import Leased
from routerd.probe import pages, stages
from routerd.probe.stages import Seen, connect, handshake, quic, several
from tests.host.namespace import alone, household, sh
from tests.lab import pki

NAME = "site.example"
LOCAL = "127.0.0.1"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def lived(story: Coroutine[Any, Any, Any]) -> Any:
    """In a child process, so these may be shortened; the words do not depend on them."""
    stages.CONNECT = stages.HELLO = pages.CONNECT = 0.5
    pages.STILL, pages.WATCH = 0.5, 2.0
    return asyncio.run(story)


def server_context(shift: timedelta = timedelta(), trusted: bool = True) -> ssl.SSLContext:
    """A site's certificate, of the authority that we trust or of another of the same name."""
    folder = Path(tempfile.mkdtemp())
    ours = pki.authority(folder)
    stages._context.cache_clear()
    import os

    os.environ["SSL_CERT_FILE"] = str(ours.file)
    issuer = ours if trusted else pki.authority(folder, stem="other")
    cert = issuer.issue(folder, "site", [NAME], shift)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert.cert, cert.key)
    return context


@asynccontextmanager
async def listening(serve: Serve, context: ssl.SSLContext | None = None) -> Any:
    served: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        served.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(one, LOCAL, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def gibberish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(1)


def page(size: int, sent: int | None = None, pause: float = 0.0, chunk: int = 1 << 14) -> Serve:
    """Answers each request with `size` bytes, of which `sent` are sent, in chunks with a pause between."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for done in range(0, size if sent is None else sent, chunk):
                writer.write(b"x" * min(chunk, size - done))
                await writer.drain()
                await asyncio.sleep(pause)
            if sent is not None:
                await asyncio.sleep(60)

    return serve


async def greeted(serve: Serve, context: ssl.SSLContext | None = None, verify: bool = True) -> str:
    async with listening(serve, context) as port:
        return (await handshake(LOCAL, port, 0, NAME, verify=verify)).word


@pytest.mark.parametrize(
    ("serve", "word"), [(silence, "silent"), (reset, "reset"), (gibberish, "forged")], ids=lambda x: str(x)[:20]
)
@alone
def test_what_answers_in_the_place_of_tls_has_a_word(serve: Serve, word: str) -> None:
    assert lived(greeted(serve)) == word


@alone
def test_a_certificate_is_the_sites_or_forged_or_out_of_its_dates() -> None:
    async def story() -> list[str]:
        year = timedelta(days=365)
        contexts = [lambda: server_context(), lambda: server_context(trusted=False), lambda: server_context(year)]
        return [await greeted(silence, make()) for make in contexts]

    assert lived(story()) == ["ok", "forged", "dated"]


@alone
def test_under_an_innocuous_name_any_tls_server_will_do() -> None:
    async def story() -> list[str]:
        forged = await greeted(silence, server_context(trusted=False), verify=False)
        return [forged, await greeted(reset, verify=False), await greeted(silence, verify=False)]

    assert lived(story()) == ["ok", "reset", "silent"]


@alone
def test_a_connection_is_made_or_refused_or_gets_no_answer() -> None:
    sh("nft 'table inet t { chain i { type filter hook input priority 0; tcp dport 7 drop; }; }'")

    async def story() -> list[str]:
        async with listening(silence) as port:
            return [(await connect(LOCAL, p, 0)).word for p in (port, 9, 7)]

    assert lived(story()) == ["ok", "refused", "silent"]


@alone
def test_what_our_own_rules_refuse_was_never_tried() -> None:
    """A routing rule says so at once. A dropped SYN is silent, so diagnose.py looks whether the ruleset was taken."""
    sh("ip rule add to 192.0.2.1 prohibit")
    assert lived(connect("192.0.2.1", 9, 0)).word == "untried"
    assert lived(quic("192.0.2.1", 9, 0)).word == "untried"


@alone
def test_a_line_without_ipv6_blames_nobody() -> None:
    assert lived(connect("2001:db8::1", 443, 0)).word == "untried"


@pytest.mark.parametrize(
    ("serve", "word", "detail"),
    [
        (page(200_000), "ok", "KB"),
        (page(500), "ok", "all there is"),
        (page(200_000, sent=20_000, chunk=20_000), "frozen", "after 2"),
        (page(200_000, pause=0.25, chunk=1000), "slow", "KB/s"),
        (reset, "frozen", "cut off"),
    ],
    ids=["a long page", "a short page", "stops", "trickles", "is cut"],
)
@alone
def test_a_download_is_watched_while_it_comes(serve: Serve, word: str, detail: str) -> None:
    async def story() -> Seen:
        async with listening(serve, server_context()) as port:
            return await pages.download(NAME, "/", LOCAL, port, 0)

    seen = lived(story())
    assert seen.word == word, seen
    assert detail in seen.detail


@alone
def test_a_quic_server_says_which_versions_it_knows() -> None:
    async def story() -> list[str]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Negotiates, local_addr=(LOCAL, 4433))
        seen = [(await quic(LOCAL, port, 0)).word for port in (4433, 4434)]
        transport.close()
        return seen

    assert lived(story()) == ["ok", "silent"]


class Negotiates(asyncio.DatagramProtocol):
    """RFC 9000, 6.1: answers a long header of an unknown version, in a datagram of 1200 bytes or more."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, peer: Any) -> None:
        assert len(data) >= 1200
        assert data[0] & 0xC0 == 0xC0
        assert data[1:5] != b"\0\0\0\1"
        self.transport.sendto(b"\x80" + bytes(4) + data[14:23] + data[5:14] + b"\0\0\0\1", peer)


@alone
def test_a_stage_is_disturbed_only_when_each_try_was() -> None:
    async def story(words: list[str]) -> tuple[str, int]:
        left = iter(words)

        async def attempt() -> Seen:
            return Seen(next(left))

        seen = await several(attempt, tries=3, gap=0.01)
        return seen.word, len(list(left))

    assert lived(story(["silent", "reset", "ok"])) == ("ok", 0)
    assert lived(story(["ok", "reset", "reset"])) == ("ok", 2)
    assert lived(story(["silent", "reset", "silent"])) == ("reset", 0)


@alone
def test_a_try_that_hangs_does_not_keep_the_next_one_waiting() -> None:
    async def story() -> float:
        tries = iter([60.0, 0.0])

        async def attempt() -> Seen:
            await asyncio.sleep(next(tries))
            return Seen("ok")

        began = asyncio.get_running_loop().time()
        await several(attempt, tries=2, gap=0.05)
        return asyncio.get_running_loop().time() - began

    assert lived(story()) < 5


@alone
def test_the_line_has_a_carrier_then_an_address_then_a_way_out() -> None:
    household()
    assert asyncio.run(line_of("eth0")) == "up"
    sh("ip addr flush dev eth0 scope global")
    assert asyncio.run(line_of("eth0")) == "no_lease"
    sh("ip link set eth0-far down")
    assert asyncio.run(line_of("eth0")) == "no_carrier"
    assert asyncio.run(line_of("nowhere")) == "no_carrier"


def test_the_providers_resolver_is_one_that_is_not_this_box(tmp_path: Path) -> None:
    stub, leased = tmp_path / "stub", tmp_path / "leased"
    stub.write_text("nameserver 127.0.0.53\noptions edns0\n")
    leased.write_text("# by dhcpcd\nnameserver fe80::1%eth0\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n")
    names = (str(tmp_path / "none"), str(stub), str(leased))
    assert resolvers_of_provider(names) == ("192.0.2.1", "2001:db8::1")
    assert resolvers_of_provider(names[:2]) == ()


@alone
def test_a_lease_is_told_when_it_is_another_and_never_names_this_box() -> None:
    household()
    (ours,) = {words.split("/")[0] for line in sh("ip -4 -o addr show dev eth0").splitlines() for words in line.split()[3:4]}
    told: list[Leased] = []
    file = Path(tempfile.mkdtemp()) / "resolv.conf"
    lease = Lease(told.append, (str(file),))
    lease.look()
    for text in ("", f"nameserver {ours}\n", f"nameserver {ours}\nnameserver 192.0.2.1\n", "nameserver 192.0.2.1\n", "# gone\n"):
        file.write_text(text)
        lease.look()
    assert told == [Leased((ip_address("192.0.2.1"),)), Leased(())]
