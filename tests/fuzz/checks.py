"""What must hold of any text whatsoever (faults 65 and 66): no crash, no hang, nothing unseen in what engines are given."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

from routerd.links import WRITERS, LinkError, Named, export, parse
from routerd.links.bulk import read_all

LONGEST = 0.1  # seconds of the processor for one input
HIDDEN = ("Cc", "Cs", "Zl", "Zp")


def check(text: str) -> None:
    began = time.process_time()
    found = read_all(text)
    took = time.process_time() - began
    assert took < LONGEST, f"{took:.3f} s"
    for named in found.transports:
        carried(named)
    for rejected in found.rejected:
        assert rejected.reason.endswith((".", "…."))


def check_one(text: str) -> None:
    try:
        carried(parse(text))
    except LinkError as e:
        assert e.reason.endswith((".", "…."))


def carried(named: Named) -> None:
    assert named.name
    assert not hidden(named.name)
    placed = {"server": "192.0.2.1"} if "server" in named.transport.__dataclass_fields__ else {}  # Tor has none
    transport = replace(named.transport, **placed)
    launch = transport.launch("fuzz", 1)
    assert not any(map(hidden, strings(launch.stdin)))
    assert not any(map(hidden, launch.argv))
    if named.transport.kind in WRITERS and len(named.source) < 4096:
        assert parse(export(named)) == named, "what was exported is imported as something else"


def strings(config: str) -> Iterator[str]:
    """Every key and value of a rendered JSON; of another form each line."""
    try:
        yield from leaves(json.loads(config))
    except ValueError:
        yield from config.split("\n")


def leaves(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, each in value.items():
                yield key
                yield from leaves(each)
        case list():
            for each in value:
                yield from leaves(each)


def hidden(text: str) -> bool:
    return not text.isprintable() and any(unicodedata.category(char) in HIDDEN for char in text)
