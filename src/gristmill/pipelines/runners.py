"""Where row shards run: in this process, or on Ray workers that share engines and the store.

A runner is in no key and decides no row: shard sizes, concurrency and hosts are free to differ.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace

from gristmill.engines import cluster
from gristmill.engines.base import Engine
from gristmill.engines.client import Asks
from gristmill.engines.lanes import find_device
from gristmill.engines.loaded import Loaded
from gristmill.engines.loop import first, windowed
from gristmill.engines.remote import Remote
from gristmill.engines.sandbox import Sandbox
from gristmill.engines.sandbox.node import NodeSandbox
from gristmill.engines.turns import in_turn
from gristmill.engines.workers import SILENCE_S, Hand, WorkerLost
from gristmill.errors import EngineError
from gristmill.pipelines.unit import Unit
from gristmill.storage.rows import Row
from gristmill.storage.shards import Shard

log = logging.getLogger(__name__)

Families = list[list[Row]]
ATTEMPTS = 3
"""Workers that one shard may lose before the run gives up."""


class LocalRunner:
    """One event loop; `in_flight` families, times the engines to a slot, are awaited at once.

    >>> LocalRunner(rows_per_shard=100).in_flight
    4096
    """

    workers, crowd = 0, 1

    def __init__(self, rows_per_shard: int = 1024, in_flight: int = 4096) -> None:
        self.rows_per_shard, self.in_flight = rows_per_shard, in_flight
        self.done = 0
        """Rows that went through a unit so far, for the progress line."""

    def host(self, engine: Engine) -> Engine:
        """Return the engine as this runner reaches it: in this process."""
        return in_turn(engine)

    def wake(self) -> None:
        """Hear that an answer was missing: from now on machines are worth starting."""

    async def close(self) -> None:
        """Nothing to end."""

    def map(
        self, unit: Unit, shards: Mapping[str, Families]
    ) -> AsyncGenerator[tuple[str, Shard], None]:
        """Yield (shard key, outcome) as shards finish, in any order; closing it ends the others.

        Enough shards are open to fill `in_flight` everywhere, so that no boundary is a barrier.
        """
        in_flight = self.in_flight * self.crowd
        gate = asyncio.Semaphore(in_flight)
        window = (2 + in_flight // self.rows_per_shard) * max(1, self.workers)

        def start(key: str, families: Families) -> asyncio.Task[tuple[str, Shard]]:
            return asyncio.create_task(self._place(unit, key, families, gate))

        return windowed(start, shards, window)

    async def _place(
        self, unit: Unit, key: str, families: Families, gate: asyncio.Semaphore
    ) -> tuple[str, Shard]:
        def count(n: int) -> None:
            self.done += n

        return key, await move(unit, families, gate, count)


async def move(
    unit: Unit, families: Families, gate: asyncio.Semaphore, count: Callable[[int], None]
) -> Shard:
    """Take families through a unit, each admitted by the gate before its task exists.

    A million waiting tasks would cost more than their rows.
    """
    shard = Shard()

    async def one(family: list[Row]) -> None:
        try:
            await unit.run(family, 0, shard)
        finally:
            gate.release()
        count(len(family))

    try:
        async with asyncio.TaskGroup() as group:
            for family in families:
                await gate.acquire()
                group.create_task(one(family))
    except BaseExceptionGroup as failed:
        raise first(failed) from failed
    return shard


@dataclass(frozen=True)
class ShardJob:
    """A shard on its way to another process."""

    unit: Unit
    families: Families
    in_flight: int

    async def __call__(self, roles: Mapping[str, Asks]) -> Shard:
        """Move the rows there."""
        unit = replace(self.unit, roles=roles)
        return await move(unit, self.families, asyncio.Semaphore(self.in_flight), lambda _: None)


class RayRunner(LocalRunner):
    """Row shards on Ray workers, engines in Ray actors; nothing of it before an answer is missing.

    Until the first miss, and where `workers` is 0, rows move in this process. The store and the
    engines' clients stay here: workers send what their rows ask and get answers back, both in
    batches, so equal requests of two workers are still asked once.
    """

    def __init__(
        self,
        workers: int | None = None,
        address: str | None = None,
        rows_per_shard: int = 1024,
        in_flight: int = 4096,
        silence_s: float = SILENCE_S,
    ) -> None:
        super().__init__(rows_per_shard, in_flight)
        # A worker on a small machine would take the core that the engine needs.
        self.workers = (os.cpu_count() or 1) // 4 if workers is None else workers
        self.address, self.silence_s = address, silence_s
        self._awake = False
        self._hands: list[Hand] = []
        self._starting, self._connected = asyncio.Lock(), False

    def host(self, engine: Engine) -> Engine:
        """Give an engine that fills a processor an actor of its own.

        On a cluster each machine gets a sandbox; on one alone a process of its own gains nothing.
        """
        alone = not (self.address or os.environ.get("RAY_ADDRESS"))
        if isinstance(engine, Sandbox) and not alone:
            engine = NodeSandbox.of(engine)
        in_lanes = isinstance(engine, Loaded) and alone and find_device() == "cpu"
        stays = in_lanes or not engine.hosted
        return engine if stays else Remote(engine=engine, address=self.address)

    def wake(self) -> None:
        """Send the next shards to workers."""
        self._awake = True

    async def close(self) -> None:
        """End the workers."""
        for hand in self._hands:
            await hand.close()
        if self._connected:
            await asyncio.to_thread(cluster.release)
        self._hands, self._awake, self._connected = [], False, False

    async def _place(
        self, unit: Unit, key: str, families: Families, gate: asyncio.Semaphore
    ) -> tuple[str, Shard]:
        for _ in range(ATTEMPTS):
            if not (self._awake and self.workers):
                return await super()._place(unit, key, families, gate)
            job = ShardJob(replace(unit, roles={}), families, self.in_flight * self.crowd)
            try:
                shard = await (await self._hand()).run(key, job, unit.roles)
            except WorkerLost as error:
                # What its rows were answered is stored: elsewhere they replay up to the loss.
                log.warning("worker lost (%s), shard=%s starts again", error, key)
                continue
            self.done += sum(map(len, families))
            return key, shard
        raise EngineError(f"shard {key} lost {ATTEMPTS} Ray workers; see Ray's own logs")

    async def _hand(self) -> Hand:
        """Return the worker with the fewest shards, starting those that are missing."""
        async with self._starting:
            self._hands = [hand for hand in self._hands if not hand.lost]
            if not self._connected:
                await asyncio.to_thread(cluster.connect, self.address)
                self._connected = True
            while len(self._hands) < self.workers:
                self._hands.append(Hand(self.silence_s))
        return min(self._hands, key=lambda hand: hand.load)
