"""The actors of one engine: who gets which request, and what happens when one dies.

Requests travel in batches, answers come back one by one as they finish: none waits for the
slowest of its batch. An actor holds at most its engine's `window` of requests; the others wait
here, in the order of `planner.py`. None takes a CPU from Ray's own count.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gristmill.engines import cluster
from gristmill.engines.base import Engine
from gristmill.engines.host import Host, Outcome, result
from gristmill.engines.leases import Withdrawn, fail
from gristmill.engines.planner import Waiting
from gristmill.engines.requests import Request
from gristmill.errors import EngineError, EngineLost, GristmillError, RequirementError

log = logging.getLogger(__name__)

BATCH, WAIT_S = 64, 0.005
"""A message holds up to so many requests; it leaves when what arrives had so many seconds."""
PAUSE_S = 5.0
"""How long the last poll of an actor may take; one that is silent for longer hangs."""
SILENCE_S = 120.0
"""More that an engine gets which names no `silence_s` of its own: some hold their process up."""
JOIN_S = 2.0
"""How often it looks for machines that have joined the cluster."""
RESTARTS = 6
"""Deaths without an answer between; then it stays dead. `suspects.py` needs fewer to find why."""


@dataclass(slots=True)
class Replica:
    """One actor, and what it has in hand."""

    actor: Any
    node: str | None = None
    """The machine that it has to be on; None for any."""
    window: int = 1
    """How many requests its engine takes at a time."""
    in_hand: dict[int, tuple[Request, asyncio.Future[Any]]] = field(default_factory=dict)
    is_ready: bool = False
    deaths: int = 0
    """In a row: an answer sets it back to 0."""
    pid: int = 0


class Pool:
    """The actors of one engine, and the requests that wait for them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.replicas: list[Replica] = []
        self._waiting: Waiting[asyncio.Future[Any]] = Waiting(0)
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._said = ""
        """The last line in the log of the actor that died last."""

    async def start(self) -> None:
        """Start every actor and its engine, all at once; all of them have to start."""
        places: list[str | None] = [None] * getattr(self.engine, "replicas", 1)
        if getattr(self.engine, "everywhere", False):
            places = [*await asyncio.to_thread(cluster.nodes)]
        self.replicas = [Replica(self._actor(node), node) for node in places]
        is_planned = getattr(self.engine, "order", "arrival") == "planned"
        self._waiting = Waiting(len(places), is_planned=is_planned)
        await asyncio.gather(*(self._begin(replica) for replica in self.replicas))
        self.resume()

    def resume(self) -> None:
        """Listen to the actors from the event loop that runs now."""
        self._is_paused = False
        for replica in self.replicas:
            self._task(self._listen(replica))
        if getattr(self.engine, "everywhere", False):
            self._watcher = self._task(self._watch())

    async def pause(self) -> None:
        """Stop listening; the actors stay, and another event loop may resume.

        An actor whose last poll is still out would give it the next answer, which nobody takes.
        """
        self._is_paused = True
        if self._watcher:
            self._watcher.cancel()
        for replica in self.replicas:
            replica.actor.wake.remote()
        if tasks := set(self._tasks):
            await asyncio.wait(tasks, timeout=PAUSE_S)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """End every engine in order, then its actor."""
        import ray

        await self.pause()
        for replica in self.replicas:
            replica.is_ready = False
            try:
                await asyncio.wait_for(replica.actor.stop.remote(), 30)
            except (ray.exceptions.RayError, TimeoutError) as error:
                log.warning("engine=%s stop_failed=%s", type(self.engine).__name__, error)
            ray.kill(replica.actor)
        self._fail_all(EngineError("the engine was stopped"))

    def withdraw(self) -> None:
        """Give up what no actor has yet."""
        fail([future for _, future in self._waiting.clear()], Withdrawn())

    def ask(self, request: Request) -> asyncio.Future[Any]:
        """Queue one request; it leaves in its turn."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if all(replica.deaths > RESTARTS for replica in self.replicas):
            future.set_exception(EngineError(self._epitaph()))
            return future
        self._waiting.add(request, future)
        if self._timer is None:
            self._timer = loop.call_later(WAIT_S, self._send)
        return future

    async def metrics(self) -> dict[str, float]:
        """Return the counters of all actors that live, added up, and those of the plan."""
        import ray

        total = self._waiting.counters()
        for replica in self.replicas:
            with suppress(ray.exceptions.RayError):  # dead just now: its listener starts another
                found = await replica.actor.metrics.remote() if replica.is_ready else {}
                total |= {name: total.get(name, 0.0) + value for name, value in found.items()}
        return total

    async def pids(self) -> list[list[int]]:
        """Return the processes of every actor, its own first."""
        return [await replica.actor.pids.remote() for replica in self.replicas]

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def _watch(self) -> None:
        """Give an actor to every machine that joins the cluster."""
        while True:
            await asyncio.sleep(JOIN_S)
            with suppress(RequirementError):  # no machine is left: one may come
                found = {*await asyncio.to_thread(cluster.nodes)}
                new = found - {replica.node for replica in self.replicas}
                await asyncio.gather(*(self._join(Replica(self._actor(n), n)) for n in new))

    async def _join(self, replica: Replica) -> None:
        """Start the engine of one more actor; where it cannot, the others go on without it."""
        import ray

        self.replicas.append(replica)
        try:
            await self._begin(replica)
        except (ray.exceptions.RayError, GristmillError) as error:
            name, replica.deaths = type(self.engine).__name__, RESTARTS + 1
            log.error("engine=%s node=%s not_started=%s", name, replica.node, error)  # noqa: TRY400
        else:
            self._task(self._listen(replica))
            self._send()
        finally:
            if not replica.is_ready:
                ray.kill(replica.actor)

    def _send(self) -> None:
        """Give what waits to the actors with most room, a batch each time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            ready = [r for r in self.replicas if r.is_ready and len(r.in_hand) < r.window]
            if not ready:
                return
            replica = min(ready, key=lambda r: len(r.in_hand) / r.window)
            size = min(BATCH, replica.window - len(replica.in_hand))
            size = min(size, -(-len(self._waiting) // len(ready)))  # some for the others, too
            taken = self._waiting.take(self.replicas.index(replica), size)
            batch = [(next(self._numbers), *item) for item in taken if not item[1].done()]
            for number, request, future in batch:
                replica.in_hand[number] = (request, future)
                future.add_done_callback(partial(self._give_up, replica, number))
            # Its failure shows where the answers are waited for.
            replica.actor.submit.remote([(number, request) for number, request, _ in batch])

    def _give_up(self, replica: Replica, number: int, future: asyncio.Future[Any]) -> None:
        """Tell an actor that nobody waits for an answer any more."""
        if future.cancelled() and replica.is_ready and number in replica.in_hand:
            del replica.in_hand[number]
            replica.actor.give_up.remote(number)

    async def _listen(self, replica: Replica) -> None:
        """Take answers as they come; when the actor dies, put another in its place."""
        import ray

        patience_s = PAUSE_S + getattr(self.engine, "silence_s", SILENCE_S)
        while not self._is_paused:
            try:
                for number, made in await asyncio.wait_for(replica.actor.poll.remote(), patience_s):
                    replica.deaths = 0
                    if number in replica.in_hand:
                        request, future = replica.in_hand.pop(number)
                        self._waiting.lengths.learn(request, made[1])
                        _settle(future, made)
                self._send()
            except (ray.exceptions.RayError, TimeoutError) as error:
                if not await self._replace(replica, str(error) or "its process hangs"):
                    return

    async def _replace(self, replica: Replica, why: str) -> bool:
        """Start a new actor for a dead one; False when it keeps dying."""
        import ray

        lost, replica.in_hand, replica.is_ready = replica.in_hand, {}, False
        self._said = await asyncio.to_thread(cluster.last_words, replica.pid) or why
        name = type(self.engine).__name__
        log.error("engine=%s lost_requests=%d said=%s", name, len(lost), self._said)
        for _, future in lost.values():
            if not future.done():
                future.set_exception(EngineLost(f"the engine's process is gone: {self._said}"))
        while True:
            replica.deaths += 1
            ray.kill(replica.actor)
            if replica.deaths > RESTARTS:
                if all(other.deaths > RESTARTS for other in self.replicas):
                    self._fail_all(EngineError(self._epitaph()))
                return False
            replica.actor = self._actor(replica.node)
            try:
                await self._begin(replica)
            except (ray.exceptions.RayError, EngineError) as error:
                log.error("engine=%s restart_failed=%s", type(self.engine).__name__, error)  # noqa: TRY400
                continue
            self._send()
            return True

    async def _begin(self, replica: Replica) -> None:
        replica.pid = (await replica.actor.pids.remote())[0]
        result(await replica.actor.start.remote())
        replica.window = await replica.actor.window.remote()
        replica.is_ready = True

    def _actor(self, node: str | None) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        wanted = float(getattr(self.engine, "tensor_parallel_size", 0))
        options: dict[str, Any] = {
            "num_cpus": 0,
            "num_gpus": wanted if cluster.gpus() >= wanted else 0,
            "max_concurrency": 1000,
            "runtime_env": {"env_vars": cluster.environment()},
        }
        if node:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
        return ray.remote(Host).options(**options).remote(self.engine)

    def _epitaph(self) -> str:
        return (
            f"the {type(self.engine).__name__} engine died {RESTARTS + 1} times without an answer "
            f"between; it last said: {self._said}; its log is in /tmp/ray/session_latest/logs "
            "(worker-*.err)"
        )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            # A bug here must not leave thousands of rows waiting for ever.
            self._fail_all(EngineError(f"the way to the engine broke: {error!r}"))

    def _fail_all(self, error: EngineError) -> None:
        held = [future for r in self.replicas for _, future in r.in_hand.values()]
        fail([*held, *(future for _, future in self._waiting.clear())], error)


def _settle(future: asyncio.Future[Any], made: Outcome) -> None:
    if future.done():
        return
    try:
        future.set_result(result(made))
    except Exception as error:  # noqa: BLE001 - the far side's error belongs to the caller
        future.set_exception(error)
