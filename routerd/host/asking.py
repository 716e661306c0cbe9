"""Asks a desync worker (desync/door.py): what is in use, and to search for a site."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from routerd.desync.door import name_of

LONGEST = 45.0  # seconds: a search ends after some 30


class Unheard(Exception):
    """The worker does not answer."""


async def ask(slot: int, question: dict[str, Any], lost: dict[str, Any] | None = None) -> AsyncIterator[dict[str, Any]]:
    """Lines until the one that is `done`; `lost`, where the worker ends in the midst of them. Raises Unheard."""
    begun = False
    try:
        async with asyncio.timeout(LONGEST):
            reader, writer = await asyncio.open_unix_connection(name_of(slot))
            try:
                writer.write(json.dumps(question).encode() + b"\n")
                while line := await reader.readline():
                    said, begun = json.loads(line), True
                    yield said
                    if said.get("done"):
                        return
            finally:
                writer.close()
    except (OSError, TimeoutError) as e:
        raise Unheard from e
    if not begun or lost is None:
        raise Unheard
    yield lost
