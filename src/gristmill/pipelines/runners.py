"""Where units run: in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from gristmill.pipelines.unit import Unit
from gristmill.storage.rows import Row
from gristmill.storage.shards import Shard

Families = list[list[Row]]


class Runner(Protocol):
    """Runs shards and yields them as they finish, in any order. In no key, so free to differ."""

    rows_per_shard: int

    def map(self, unit: Unit, shards: Mapping[str, Families]) -> AsyncIterator[tuple[str, Shard]]:
        """Yield (shard key, outcome) for every shard."""
        ...


class LocalRunner:
    """One event loop; `in_flight` families are awaited at once, over shard boundaries."""

    def __init__(self, rows_per_shard: int = 1024, in_flight: int = 4096) -> None:
        self.rows_per_shard, self.in_flight = rows_per_shard, in_flight

    async def map(
        self, unit: Unit, shards: Mapping[str, Families]
    ) -> AsyncIterator[tuple[str, Shard]]:
        """Keep enough shards open to fill `in_flight`, so that no boundary is a barrier."""
        gate = asyncio.Semaphore(self.in_flight)

        async def one(family: list[Row], shard: Shard) -> None:
            async with gate:
                await unit.run(family, 0, shard)

        async def all_of(key: str, families: Families) -> tuple[str, Shard]:
            shard = Shard()
            async with asyncio.TaskGroup() as group:
                for family in families:
                    group.create_task(one(family, shard))
            return key, shard

        waiting = iter(shards.items())
        window = 2 + self.in_flight // self.rows_per_shard
        running: set[asyncio.Task[tuple[str, Shard]]] = set()
        try:
            while True:
                for key, families in waiting:
                    running.add(asyncio.create_task(all_of(key, families)))
                    if len(running) >= window:
                        break
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
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
