"""Strategies worth trying where nothing is known yet: the cheapest first, then by what is known to have worked where.

From published work (Geneva; Bock and others, 2019 to 2021; Nourin and others, 2023) and from what users of zapret,
GoodbyeDPI, ByeDPI and youtubeUnblock report. The numbers that searches tell by marks are places in here.
"""

from __future__ import annotations

TLS: tuple[str, ...] = (
    "split(1,midsld)",  # who looks at packets one by one (India, Kazakhstan; most boxes)
    "split(1,midsld) disorder",  # who puts together what comes in order alone
    "fake(hello,ttl)",  # who takes the first copy of a byte, or looks at the first packet alone (China, Russia)
    "fake(hello,md5)",  # the same, where the distance is not known, or the box is near to the server
    "fake(hello,badseq)",  # the same; who looks at no sequence numbers
    "fake(hello,badsum)",  # the same; who computes no checksums
    "fake(hello,ttl) split(1,midsld) disorder",  # Russia's TSPU, after its 2024 changes
    "fake(hello,md5) split(1,midsld) disorder",
    "fake(hello,badseq) split(1,midsld) disorder",
    "overlap(336) split(2,midsld)",  # who reads on from a packet's begin, whatever its number
    "around(ttl) split(1,midsld)",  # who waits for all pieces, and takes the first copy of each
    "around(md5) split(1,midsld) disorder",
    "split(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,midsld)",  # who gives up after some packets
    "fake(zeros,ttl,x12) split(1,midsld)",  # the same, where small pieces are a sign of their own
    "fake(zeros,md5,x12) split(1,midsld)",
    "fake(hello,oldts)",  # who looks at everything but timestamps
    "fake(noise,ttl) split(1,midsld)",  # who begins anew with what is no hello
    "split(1,sniext+1,host+1,midsld,endhost-1) disorder",
)
# What most censors of these are beaten by: where each wrong try shuts an address off for a minute.
STRONG: tuple[str, ...] = (
    "around(ttl) split(1,midsld)",
    "fake(hello,ttl) split(1,midsld) disorder",
    "around(md5) split(1,midsld) disorder",
    "around(md5) split(1,midsld)",
    "fake(http,ttl)",
)
HTTP: tuple[str, ...] = (
    "hostcase",  # who compares bytes
    "hostspace",
    "split(host+1,midsld)",
    "split(1,midsld) disorder",
    "fake(http,ttl)",
    "fake(http,md5)",
    "fake(http,badseq) split(1,midsld) disorder",
    "fake(http,badsum)",
    "around(ttl) split(1,midsld)",
    "around(md5) split(1,midsld)",
)
QUIC: tuple[str, ...] = ("decoys(3)",)  # who looks at the first Initial of a pair of ends (China, 2024; Russia)
