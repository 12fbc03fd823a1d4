"""Where row shards run: in this process, or on Ray workers that share engines and the store.

A runner is in no key and decides no row: shard sizes, concurrency and hosts are free to differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

from gristmill.engines.base import Engine
from gristmill.pipelines.unit import Unit
from gristmill.storage.rows import Row
from gristmill.storage.shards import Shard

Families = list[list[Row]]


class Runner(Protocol):
    """Runs shards and yields them as they finish, in any order."""

    rows_per_shard: int
    done: int
    """Rows that went through a unit so far, for the progress line."""

    def host(self, engine: Engine) -> Engine:
        """Return the engine as this runner reaches it."""
        ...

    def wake(self) -> None:
        """Hear that an answer was missing: from now on machines are worth starting."""
        ...

    def map(self, unit: Unit, shards: Mapping[str, Families]) -> AsyncIterator[tuple[str, Shard]]:
        """Yield (shard key, outcome) for every shard."""
        ...

    async def close(self) -> None:
        """End what was started."""
        ...


class LocalRunner:
    """One event loop; `in_flight` families are awaited at once, over shard boundaries."""

    def __init__(self, rows_per_shard: int = 1024, in_flight: int = 4096) -> None:
        self.rows_per_shard, self.in_flight = rows_per_shard, in_flight
        self.done = 0

    def host(self, engine: Engine) -> Engine:
        """Keep the engine in this process."""
        return engine

    def wake(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to end."""

    async def map(
        self, unit: Unit, shards: Mapping[str, Families]
    ) -> AsyncIterator[tuple[str, Shard]]:
        """Keep enough shards open to fill `in_flight`, so that no boundary is a barrier."""
        gate = asyncio.Semaphore(self.in_flight)
        window = 2 + self.in_flight // self.rows_per_shard

        def start(key: str, families: Families) -> asyncio.Task[tuple[str, Shard]]:
            return asyncio.create_task(self._shard(unit, key, families, gate))

        async for done in windowed(start, shards, window):
            yield done

    async def _shard(
        self, unit: Unit, key: str, families: Families, gate: asyncio.Semaphore
    ) -> tuple[str, Shard]:
        shard = Shard()

        async def one(family: list[Row]) -> None:
            try:
                await unit.run(family, 0, shard)
            finally:
                gate.release()
            self.done += len(family)

        async with asyncio.TaskGroup() as group:
            for family in families:
                # Admitted before its task exists: a million waiting tasks cost more than rows.
                await gate.acquire()
                group.create_task(one(family))
        return key, shard


async def windowed(
    start: Callable[[str, Families], asyncio.Task[tuple[str, Shard]]],
    shards: Mapping[str, Families],
    window: int,
) -> AsyncIterator[tuple[str, Shard]]:
    """Yield outcomes as they come, with at most `window` shards under way."""
    waiting = iter(shards.items())
    running: set[asyncio.Task[tuple[str, Shard]]] = set()
    try:
        while True:
            while len(running) < window and (more := next(waiting, None)):
                running.add(start(*more))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            # Hand over what succeeded before anything raises.
            for task in sorted(done, key=lambda task: task.exception() is not None):
                yield _result(task)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _result(task: asyncio.Task[tuple[str, Shard]]) -> tuple[str, Shard]:
    try:
        return task.result()
    except BaseExceptionGroup as group:
        raise _first(group) from group


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
