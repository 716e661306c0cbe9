"""Packets as bytes and as data; hellos, requests and Initials in them."""

from __future__ import annotations

import os
import random
import ssl
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.desync import quic
from routerd.desync.decoys import INNOCENT, client_hello
from routerd.desync.hello import hello, request, said
from routerd.desync.packet import ACK, PSH, TCP, UDP, Packet, build, parse
from routerd.desync.play import Flight, Path, play, play_datagrams
from routerd.desync.prior import QUIC, TLS
from routerd.desync.grammar import parse as strategy
from routerd.desync.stream import Stream

MALFORMED = int(os.environ.get("MALFORMED", "100000"))
ENDS4, ENDS6 = (b"\xc0\xa8\x4d\x07", b"\xc6\x33\x64\x0a"), (b"\xfd" + b"\1" * 15, b"\x20\x01\x0d\xb8" + b"\2" * 12)


def real_hello(name: str) -> bytes:
    """Of this Python's OpenSSL."""
    out = ssl.MemoryBIO()
    wrapped = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        wrapped.do_handshake()
    return out.read()


packets = st.builds(
    lambda ends, proto, ports, payload, numbers, options: Packet(
        *ends, proto, *ports, payload, *(numbers if proto == TCP else (0, 0, 0, 0)), 63, options if proto == TCP else b""
    ),
    st.sampled_from([ENDS4, ENDS6]),
    st.sampled_from([TCP, UDP]),
    st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
    st.binary(max_size=300),
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 65535)),
    st.integers(0, 10).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words)),
)


@given(packets)
def test_a_packet_is_read_as_it_was_built(packet: Packet) -> None:
    assert parse(build(packet)) == packet


def test_a_wrong_checksum_is_wrong_and_a_right_one_is_right() -> None:
    """The sum over the pseudo-header and all the rest is 0xffff where it is right (RFC 9293, 3.1)."""
    for ends in (ENDS4, ENDS6):
        for proto in (TCP, UDP):
            for bad in (False, True):
                packet = Packet(*ends, proto, 50000, 443, b"odd", 1, 2, ACK, 100, bad_checksum=bad)
                data = build(packet)
                body = data[20:] if len(ends[0]) == 4 else data[40:]
                whole = ends[0] + ends[1] + proto.to_bytes(2) + len(body).to_bytes(2) + body + b"\0" * (len(body) % 2)
                assert (int.from_bytes(whole) % 0xFFFF == 0) is not bad


def test_what_is_no_whole_packet_is_none() -> None:
    good = build(Packet(*ENDS4, TCP, 1, 443, b"hello", 1, 1, ACK))
    assert parse(good)
    fragment = good[:6] + b"\x20\x00" + good[8:]
    for bad in (b"", b"\x45", good[:39], good[:-1], fragment, b"\x55" + good[1:], b"\x4f" + good[1:], good[:9] + b"\x01" + good[10:]):
        assert parse(bad) is None, bad.hex()
    assert parse(good + b"trailer") == parse(good), "Ethernet fills short frames up"


def test_headers_before_the_ports_of_ipv6_are_passed_over() -> None:
    plain = build(Packet(*ENDS6, TCP, 1, 443, b"hello", 1, 1, ACK))
    extra = bytes([TCP, 0]) + b"\0" * 6
    with_options = plain[:4] + (len(plain) - 40 + 8).to_bytes(2) + bytes([0]) + plain[7:40] + extra + plain[40:]
    found = parse(with_options)
    assert found and (found.dport, found.payload) == (443, b"hello")


# -- hellos and requests ----------------------------------------------------------------------------------------------


def test_the_name_of_a_real_hello_and_where_it_stands() -> None:
    data = real_hello("www.Blocked.example")
    found = hello(data)
    assert found and found.whole and found.name == "www.blocked.example"
    assert data[found.start : found.end].lower() == b"www.blocked.example"
    assert data[found.extension : found.extension + 2] == b"\0\0"


def test_a_hello_that_is_not_whole_yet_says_so() -> None:
    data = real_hello("www.blocked.example")
    for size in range(1, len(data)):
        found = hello(data[:size])
        assert found and not found.whole, size
        assert found.name in ("", "www.blocked.example")


def test_a_hello_in_two_records_is_one() -> None:
    """Its name may be cut by the second record's head: then it has no one place."""
    data = real_hello("www.blocked.example")
    whole = hello(data)
    assert whole
    for cut in (1, 40, whole.start, whole.start + 3, whole.end, len(data) - 6):
        body = data[5:]
        two = b"\x16\x03\x01" + cut.to_bytes(2) + body[:cut] + b"\x16\x03\x01" + (len(body) - cut).to_bytes(2) + body[cut:]
        found = hello(two)
        assert found and found.whole and found.name == "www.blocked.example", cut
        assert found.start < 0 or two[found.start : found.end] == b"www.blocked.example"


def test_what_is_no_hello_is_none_and_an_odd_name_is_no_name() -> None:
    assert hello(b"GET / HTTP/1.1") is hello(b"\x17\x03\x03\0\x05") is hello(b"\x16\x02\0") is None
    odd = client_hello(300, b"x", b'a"; rm -rf \n.example')
    found = hello(odd)
    assert found and found.whole and not found.name


def test_a_decoys_hello_is_one_that_reads_well() -> None:
    for size in (200, 517, 1400, 1800):
        data = client_hello(size, b"seed")
        found = hello(data)
        assert found and found.whole and found.name.encode() == INNOCENT
        assert len(data) >= size and (size < 300 or len(data) == size)


def test_the_host_of_a_request_and_where_it_stands() -> None:
    for head in (b"GET / HTTP/1.1\r\nHost: Blocked.example\r\n\r\n", b"POST /x HTTP/1.1\r\nA: b\r\nhoST:Blocked.example:8080 \r\n\r\n"):
        found = request(head)
        assert found and found.whole and found.name == "blocked.example"
        assert head[found.start : found.end] == b"Blocked.example"
        assert head[found.extension : found.extension + 4].lower() == b"host"
        for size in range(1, len(head)):
            part = request(head[:size])
            assert part and not part.whole, head[:size]
    assert request(b"SSH-2.0-x\r\n") is request(b"") is None


def test_a_name_in_the_body_is_not_the_host() -> None:
    found = request(b"POST / HTTP/1.1\r\nA: b\r\n\r\n\r\nHost: body.example\r\n\r\n")
    assert found and found.whole and not found.name


# -- streams ----------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=400), st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_a_stream_is_put_together_whatever_the_order(data: bytes, start: int, order: random.Random) -> None:
    cuts = sorted({0, len(data), *(order.randrange(len(data)) for _ in range(6))})
    pieces = [(a, data[a : b + order.randrange(3)]) for a, b in pairwise(cuts)]
    pieces += order.sample(pieces, len(pieces) // 2)
    order.shuffle(pieces)
    stream = Stream(start)
    for at, payload in pieces:
        stream.add((start + at) & 0xFFFFFFFF, payload)
        assert data.startswith(stream.said)
    assert stream.said == data


def test_what_lies_before_the_beginning_or_far_behind_it_is_not_taken() -> None:
    stream = Stream(1000)
    assert stream.add(990, b"before") == b""
    assert stream.add(1000 + (1 << 20), b"far") == b""
    assert stream.add(1000, b"here") == b"here"


# -- QUIC -------------------------------------------------------------------------------------------------------------

CLIENT_INITIAL = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c0bab7df5976d27cd449f63300099f3991c260ec4c60d17b31f8429157bb35a1282a643a8d2262cad67500cadb8e7378c8eb7539ec4d4905fed1bee1fc8aafba17c750e2c7ace01e6005f80fcb7df621230c83711b39343fa028cea7f7fb5ff89eac2308249a02252155e2347b63d58c5457afd84d05dfffdb20392844ae812154682e9cf012f9021a6f0be17ddd0c2084dce25ff9b06cde535d0f920a2db1bf362c23e596d11a4f5a6cf3948838a3aec4e15daf8500a6ef69ec4e3feb6b1d98e610ac8b7ec3faf6ad760b7bad1db4ba3485e8a94dc250ae3fdb41ed15fb6a8e5eba0fc3dd60bc8e30c5c4287e53805db059ae0648db2f64264ed5e39be2e20d82df566da8dd5998ccabdae053060ae6c7b4378e846d29f37ed7b4ea9ec5d82e7961b7f25a9323851f681d582363aa5f89937f5a67258bf63ad6f1a0b1d96dbd4faddfcefc5266ba6611722395c906556be52afe3f565636ad1b17d508b73d8743eeb524be22b3dcbc2c7468d54119c7468449a13d8e3b95811a198f3491de3e7fe942b330407abf82a4ed7c1b311663ac69890f4157015853d91e923037c227a33cdd5ec281ca3f79c44546b9d90ca00f064c99e3dd97911d39fe9c5d0b23a229a234cb36186c4819e8b9c5927726632291d6a418211cc2962e20fe47feb3edf330f2c603a9d48c0fcb5699dbfe5896425c5bac4aee82e57a85aaf4e2513e4f05796b07ba2ee47d80506f8d2c25e50fd14de71e6c418559302f939b0e1abd576f279c4b2e0feb85c1f28ff18f58891ffef132eef2fa09346aee33c28eb130ff28f5b766953334113211996d20011a198e3fc433f9f2541010ae17c1bf202580f6047472fb36857fe843b19f5984009ddc324044e847a4f4a0ab34f719595de37252d6235365e9b84392b061085349d73203a4a13e96f5432ec0fd4a1ee65accdd5e3904df54c1da510b0ff20dcc0c77fcb2c0e0eb605cb0504db87632cf3d8b4dae6e705769d1de354270123cb11450efc60ac47683d7b8d0f811365565fd98c4c8eb936bcab8d069fc33bd801b03adea2e1fbc5aa463d08ca19896d2bf59a071b851e6c239052172f296bfb5e72404790a2181014f3b94a4e97d117b438130368cc39dbb2d198065ae3986547926cd2162f40a29f0c3c8745c0f50fba3852e566d44575c29d39a03f0cda721984b6f440591f355e12d439ff150aab7613499dbd49adabc8676eef023b15b65bfc5ca06948109f23f350db82123535eb8a7433bdabcb909271a6ecbcb58b936a88cd4e8f2e6ff5800175f113253d8fa9ca8885c2f552e657dc603f252e1a8e308f76f0be79e2fb8f5d5fbbe2e30ecadd220723c8c0aea8078cdfcb3868263ff8f0940054da48781893a7e49ad5aff4af300cd804a6b6279ab3ff3afb64491c85194aab760d58a606654f9f4400e8b38591356fbf6425aca26dc85244259ff2b19c41b9f96f3ca9ec1dde434da7d2d392b905ddf3d1f9af93d1af5950bd493f5aa731b4056df31bd267b6b90a079831aaf579be0a39013137aac6d404f518cfd46840647e78bfe706ca4cf5e9c5453e9f7cfd2b8b4c8d169a44e55c88d4a9a7f9474241e221af44860018ab0856972e194cd934"


def test_the_initial_of_the_rfc_is_read() -> None:
    """RFC 9001, appendix A.2."""
    datagram = bytes.fromhex(CLIENT_INITIAL)
    assert len(datagram) == 1200
    assert quic.is_initial(datagram)
    assert quic.name([datagram]) == "example.com"
    assert quic.name([datagram[:-1] + b"\0"]) is None, "a byte is wrong, so nothing opens"


def test_a_decoys_initial_is_one_that_opens() -> None:
    datagram = quic.initial(b"seed")
    assert len(datagram) == quic.LEAST
    assert quic.name([datagram]) == INNOCENT.decode()
    assert quic.initial(b"seed") == datagram != quic.initial(b"other")


def test_what_is_no_initial_is_none() -> None:
    assert not quic.is_initial(b"")
    assert not quic.is_initial(b"\x40" + b"\0" * 1199)
    assert quic.name([]) is quic.name([b"\xc3\0\0\0\1" + b"\xff" * 1195]) is None


def test_decoys_go_before_the_clients_own_datagram_which_stays_as_it_is() -> None:
    packet = Packet(*ENDS4, UDP, 50000, 443, bytes.fromhex(CLIENT_INITIAL))
    *decoys, last = play_datagrams(strategy(QUIC[0]), packet, Path(None))
    assert last == packet and len(decoys) == 3
    assert {quic.name([decoy.payload]) for decoy in decoys} == {INNOCENT.decode()}
    assert len({decoy.payload for decoy in decoys}) == 3


# -- whatever comes ---------------------------------------------------------------------------------------------------


def test_no_malformed_packet_breaks_anything() -> None:
    """Good packets with bytes changed, cut off and put in, and noise. MALFORMED=1000000 for more."""
    draw = random.Random(20261128)
    text = real_hello("www.blocked.example")
    bodies = [text, b"GET / HTTP/1.1\r\nHost: blocked.example\r\n\r\n", b"", bytes.fromhex(CLIENT_INITIAL)]
    seeds = [build(Packet(*ends, proto, 5, 443, body, 1, 1, ACK | PSH)) for ends in (ENDS4, ENDS6) for proto in (TCP, UDP) for body in bodies]
    played = [strategy(one) for one in TLS]
    for number in range(MALFORMED):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.randrange(1, 6)):
            at = draw.randrange(len(data) or 1)
            match draw.randrange(4):
                case 0:
                    data[at : at + 1] = bytes([draw.randrange(256)])
                case 1:
                    del data[at:]
                case 2:
                    data[at:at] = draw.randbytes(draw.randrange(1, 5))
                case _:
                    data[at : at + 2] = draw.choice([b"\xff\xff", b"\0\0", b"\x80\0"])
        packet = parse(bytes(data))
        if packet is None:
            continue
        said(packet.payload)
        if number % 50 == 0:
            quic.name([packet.payload])
            for one in play(played[number % len(played)], Flight(packet, packet.seq, packet.payload, 1400), Path(3)):
                assert parse(build(one)) is not None or one.bad_checksum


def test_no_head_of_a_request_takes_long_to_read() -> None:
    """A device of the household could else stop the worker: this took minutes once."""
    for filler in (b" ", b"\t ", b"\n", b"\r\nHost: ", b"a", b"Host:"):
        data = b"GET / HTTP/1.1\r\nHost:" + filler * (16000 // len(filler))
        began = time.perf_counter()
        said(data)
        assert time.perf_counter() - began < 0.2, filler
