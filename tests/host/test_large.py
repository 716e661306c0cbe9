"""A large probe against a server whose handshake freezes."""

import asyncio
import time

from routerd.probe import large
from tests.host.namespace import alone
from tests.host.test_stages import LOCAL, NAME, listening, silence


@alone
def test_a_large_probe_whose_handshake_freezes_is_stuck_long_before_its_longest() -> None:
    async def story() -> None:
        async with listening(silence) as port:
            began = time.monotonic()
            got = await large.measure(f"https://{NAME}:{port}/blob", LOCAL, 0, 0.05)
            took = time.monotonic() - began
        assert got == large.Got(0, 0.0, stuck=True)
        assert large.BEGINNING <= took < large.LONGEST / 2

    asyncio.run(story())
