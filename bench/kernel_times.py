"""A program for the router: drives World through real plans and prints its times, in ms, as JSON.

    python -m bench.kernel_times CONFIG FOLDER RUNS

No daemon may run there meanwhile. `switch` is from the new State to the kernel's answer, plan and read-back included;
`apply` the same for a change that rewrites the whole policy; `cold` a whole first apply, with the start of all engines.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import time
from pathlib import Path

from routerd.file import ConfigFile
from routerd.model import Health, State, Up
from routerd.plan import plan
from routerd.settings import Settings
from routerd.world import World, prepare_leases

Times = dict[str, list[float]]
COLD_RUNS = 5
PAUSE = 0.02  # seconds between two: the kernel's own news of the first have been read


def _state(settings: Settings, active: str) -> State:
    """All transports up, this one active."""
    health: dict[str, Health] = {name: Up(0.0, 1.0) for name in settings.transports}
    slots = {name: number for number, name in enumerate(settings.transports, 1)}
    return State(health=health, slots=slots, active=active)


async def _decided(world: World, settings: Settings, state: State, leases: str) -> float:
    """Plans and applies; ms that planning took. What applying took is in `world.took_ms`."""
    began = time.perf_counter()
    made = plan(settings, state, leases)
    planned = (time.perf_counter() - began) * 1000
    world.took_ms.clear()
    await world.apply(made)
    return planned


async def _cold(settings: Settings, leases: str, times: Times) -> None:
    first = _state(settings, next(iter(settings.transports)))
    for _ in range(COLD_RUNS):
        async with World(lambda _event: None) as world:
            planned = await _decided(world, settings, first, leases)
            times["cold"].append(planned + world.took_ms["apply"])


async def _warm(settings: Settings, leases: str, runs: int, times: Times) -> None:
    states = [_state(settings, name) for name in settings.transports]
    other = dataclasses.replace(settings, on_failure="direct" if settings.on_failure == "block" else "block")
    async with World(lambda _event: None) as world:
        await _decided(world, settings, states[0], leases)
        await asyncio.sleep(1)  # the engines have started
        for run in range(1, runs + 1):
            planned = await _decided(world, settings, states[run % len(states)], leases)
            times["switch"].append(planned + world.took_ms["switch"])
            await asyncio.sleep(PAUSE)
        for run in range(1, runs + 1):
            planned = await _decided(world, other if run % 2 else settings, states[runs % len(states)], leases)
            times["apply"].append(planned + world.took_ms["apply"])
            await asyncio.sleep(PAUSE)


async def _all(settings: Settings, leases: str, runs: int) -> Times:
    times: Times = {name: [] for name in ("cold", "switch", "apply")}
    await _cold(settings, leases, times)
    await _warm(settings, leases, runs, times)
    return times


def main() -> None:
    config, folder, runs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    settings = ConfigFile(config, folder).read()
    print(json.dumps(asyncio.run(_all(settings, str(prepare_leases(folder)), runs))))


if __name__ == "__main__":
    main()
