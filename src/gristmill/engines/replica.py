"""One actor of an engine: started, started again when it dies, given up when it keeps dying."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from gristmill.engines import cluster
from gristmill.engines.base import Engine
from gristmill.engines.host import Host, result
from gristmill.engines.requests import Request
from gristmill.errors import EngineError

log = logging.getLogger(__name__)

STARTS = 3
"""Deaths before it was ever ready; then the engine cannot start."""
RESTARTS = 6
"""Deaths without an answer between; then it stays dead. `suspects.py` needs fewer to find why."""

PAUSE_S = 5.0
"""How long the last poll of an actor may take; one that is silent for longer hangs."""
SILENCE_S = 120.0
"""More that an engine gets which names no `silence_s` of its own: some hold their process up."""


@dataclass(slots=True)
class Replica:
    """One actor, and what it has in hand. It takes no CPU from Ray's own count."""

    engine: Engine
    node: str | None = None
    """The machine that it has to be on; None for any."""
    actor: Any = None
    window: int = 1
    """How many requests its engine takes at a time."""
    in_hand: dict[int, tuple[Request, asyncio.Future[Any]]] = field(default_factory=dict)
    is_ready: bool = False
    deaths: int = 0
    """In a row: an answer sets it back to 0."""
    pid: int = 0

    @property
    def is_given_up(self) -> bool:
        """Whether it died too often, or with its machine."""
        return self.deaths > RESTARTS

    async def start(self) -> None:
        """Start actor and engine; without a machine to be on it is given up.

        Raises:
            EngineError: It died STARTS times meanwhile.
            GristmillError: What its engine raises.
        """
        import ray

        for _ in range(STARTS):
            try:
                return await self._begin()
            except (ray.exceptions.RayError, TimeoutError) as error:
                said = await self.last_words() or str(error)
                log.error("engine=%s died_starting=%s", self.name, said)  # noqa: TRY400
                ray.kill(self.actor)
                if await self._is_homeless():
                    return self.give_up()
        raise EngineError(f"it died {STARTS} times while it started; it last said: {said}")

    async def restart(self) -> None:
        """Put another actor in the place of a dead one, unless it keeps dying."""
        import ray

        self.is_ready = False
        ray.kill(self.actor)
        self.deaths += 1
        while not (self.is_ready or self.is_given_up):
            try:
                await self._begin()
            except (ray.exceptions.RayError, TimeoutError, EngineError) as error:
                ray.kill(self.actor)
                self.deaths += 1
                log.error("engine=%s restart_failed=%s", self.name, error)  # noqa: TRY400
                if await self._is_homeless():
                    self.give_up()

    def give_up(self) -> None:
        """Expect nothing of it any more."""
        self.deaths = RESTARTS + 1

    @property
    def patience_s(self) -> float:
        """How long its actor may be silent; then it hangs."""
        return PAUSE_S + getattr(self.engine, "silence_s", SILENCE_S)

    @property
    def name(self) -> str:
        """What the log calls it."""
        return type(self.engine).__name__

    async def last_words(self) -> str:
        """Return the last line in the log of its actor, "" without one."""
        return await asyncio.to_thread(cluster.last_words, self.pid)

    async def _is_homeless(self) -> bool:
        """Say whether the machine that it has to be on has left the cluster."""
        return bool(self.node) and self.node not in await asyncio.to_thread(cluster.nodes)

    async def _begin(self) -> None:
        self.pid, self.actor = 0, self._created()
        await cluster.while_alive(
            self._load(), self.actor.pids, self.patience_s, needs_room=self._gpus > 0
        )
        self.is_ready = True

    async def _load(self) -> None:
        self.pid = (await self.actor.pids.remote())[0]
        result(await self.actor.start.remote())
        self.window = await self.actor.window.remote()

    @property
    def _gpus(self) -> float:
        """How many GPUs its actor takes: none where the cluster has too few."""
        wanted = float(getattr(self.engine, "tensor_parallel_size", 0))
        return wanted if cluster.gpus() >= wanted else 0.0

    def _created(self) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options: dict[str, Any] = {
            "num_cpus": 0,
            "num_gpus": self._gpus,
            "max_concurrency": 1000,
            "concurrency_groups": cluster.LISTENED,
            "runtime_env": {"env_vars": cluster.environment()},
        }
        if self.node:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(self.node, soft=False)
        return ray.remote(**options)(Host).remote(self.engine)
