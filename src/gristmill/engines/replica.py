"""One actor of an engine: started, started again when it dies, given up when it keeps dying."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from gristmill.engines import cluster
from gristmill.engines.base import Engine
from gristmill.engines.host import Host, result
from gristmill.engines.leases import LIMIT_S
from gristmill.engines.requests import Request
from gristmill.errors import EngineError, GristmillError, RequirementError

log = logging.getLogger(__name__)

STARTS = 3
"""Deaths before it was ever ready; then the engine cannot start."""
RESTARTS = 6
"""Deaths without an answer between; then it stays dead. `suspects.py` needs fewer to find why."""

PAUSE_S = 5.0
"""How long the last poll of an actor may take; one that is silent for longer hangs."""
STOP_S, LOADING_STOP_S = 30.0, 5.0
"""How long an engine may take to end in order, and one that has not started."""
SILENCE_S = 120.0
"""More that an engine gets which names no `silence_s` of its own: some hold their process up."""
ELSEWHERE = "See root cause above"
"""What vLLM says of a core that could not start, whose own error went to its process's log."""
_holders: dict[int, str] = {}
"""What this process has on GPUs, by replica."""


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
                self.kill()
                if await self._is_homeless():
                    return self.give_up()
        raise EngineError(f"it died {STARTS} times while it started; it last said: {said}")

    async def restart(self) -> None:
        """Put another actor in the place of a dead one, unless it keeps dying.

        Raises:
            GristmillError: What its engine says that can never start here: no more is tried.
        """
        import ray

        self.is_ready = False
        self.kill()
        self.deaths += 1
        while not (self.is_ready or self.is_given_up):
            try:
                await self._begin()
            except (ray.exceptions.RayError, TimeoutError, EngineError) as error:
                self.kill()
                self.deaths += 1
                log.error("engine=%s restart_failed=%s", self.name, error)  # noqa: TRY400
                if await self._is_homeless():
                    self.give_up()
            except GristmillError:
                self.kill()
                self.give_up()
                raise

    async def stop(self) -> None:
        """End its engine in order, then the actor; what still loads is not waited for."""
        import ray

        if self.actor is None:
            return
        patience_s, self.is_ready = STOP_S if self.is_ready else LOADING_STOP_S, False
        try:
            if not self.is_given_up:
                await asyncio.wait_for(self.actor.stop.remote(), patience_s)
        except (ray.exceptions.RayError, TimeoutError) as error:
            log.warning("engine=%s stop_failed=%s", self.name, error)
        self.kill()

    def kill(self) -> None:
        """End its actor, whatever that does."""
        import ray

        ray.kill(self.actor)
        _holders.pop(id(self), None)

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

    @property
    def _model(self) -> str:
        return f"{self.name} {getattr(self.engine, 'model', '')}".strip()

    async def last_words(self) -> str:
        """Return the last line in the log of its actor, "" without one."""
        return await asyncio.to_thread(cluster.last_words, self.pid)

    async def _is_homeless(self) -> bool:
        """Say whether the machine that it has to be on has left the cluster."""
        return bool(self.node) and self.node not in await asyncio.to_thread(cluster.nodes)

    async def _begin(self) -> None:
        needs_room = self._gpus > 0
        self.pid, self.actor = 0, self._created()
        await cluster.while_alive(
            self._load(), self.actor.pids, self.patience_s, needs_room=needs_room
        )
        self.is_ready = True

    async def _load(self) -> None:
        self.pid = await self._placed()
        try:
            result(await self.actor.start.remote())
        except EngineError as error:
            if ELSEWHERE not in str(error):
                raise
            raise EngineError(f"{error}; there it says: {await self.last_words()}") from error
        self.window = await self.actor.window.remote()

    async def _placed(self) -> int:
        """Return the actor's process once Ray has room for it; say what a long wait is for."""
        placed = asyncio.ensure_future(self.actor.pids.remote())
        waited_s = 0.0
        try:
            while not (await asyncio.wait({placed}, timeout=LIMIT_S))[0]:
                waited_s += LIMIT_S
                if self._gpus:
                    log.warning(
                        "%s has waited %.0f s for %g of the cluster's %g GPUs, held by %s; lower "
                        "replicas, or let engines take turns (slots in the recipe)",
                        self._model, waited_s, self._gpus, sum(cluster.gpus()),
                        ", ".join(sorted(_holders.values())) or "nobody here: another job has them",
                    )  # fmt: skip
            if self._gpus:
                _holders[id(self)] = self._model
            return int((await placed)[0])
        finally:
            placed.cancel()

    @property
    def _gpus(self) -> float:
        """How many GPUs its actor takes: none in a cluster without any.

        Raises:
            RequirementError: No machine has so many: Ray would wait for one without end.
        """
        wanted = float(getattr(self.engine, "tensor_parallel_size", 0))
        there = cluster.gpus() if wanted else []
        if there and wanted > max(there):
            raise RequirementError(
                f"{self._model} has tensor_parallel_size={wanted:g}, which takes as many GPUs of "
                f"one machine; the cluster's machines have {', '.join(f'{n:g}' for n in there)}"
            )
        return wanted if there else 0.0

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
