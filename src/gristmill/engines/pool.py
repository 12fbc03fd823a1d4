"""The actors of one engine: who gets which request, and what happens when one dies.

Requests travel in batches, answers come back one by one as they finish: none waits for the
slowest of its batch. An actor holds at most its engine's `window` of requests; the others wait
here, in the order of `planner.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from gristmill.engines import cluster
from gristmill.engines.base import Engine
from gristmill.engines.host import Outcome, result
from gristmill.engines.leases import Withdrawn, fail
from gristmill.engines.loop import first, within
from gristmill.engines.planner import Waiting
from gristmill.engines.replica import PAUSE_S, RESTARTS, Replica
from gristmill.engines.requests import Request
from gristmill.errors import EngineError, EngineLost, GristmillError, RequirementError

log = logging.getLogger(__name__)

BATCH, WAIT_S = 64, 0.005
"""A message holds up to so many requests; it leaves when what arrives had so many seconds."""
JOIN_S = 2.0
"""How often it looks for machines that have joined the cluster."""
ALONE_S = 60.0
"""How long requests wait for a machine when the last one has gone."""


class Pool:
    """The actors of one engine, and the requests that wait for them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._is_everywhere = getattr(engine, "everywhere", False)
        self._alone_s = 0.0
        """How long there has been no machine for it."""
        self.replicas: list[Replica] = []
        self._waiting: Waiting[asyncio.Future[Any]] = Waiting(0)
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._said = ""
        """The last line in the log of the actor that died last."""
        self._end: GristmillError | None = None
        """Why nothing will be answered any more, where it is not that actors keep dying."""

    async def start(self) -> None:
        """Start every actor and its engine, all at once; all have to start whose machine lives."""
        places: list[str | None] = [None] * getattr(self.engine, "replicas", 1)
        if self._is_everywhere:
            places = [*await asyncio.to_thread(cluster.nodes)]
        if not places:
            raise RequirementError("no machine of the Ray cluster offers a CPU (--num-cpus)")
        self.replicas = [Replica(self.engine, node) for node in places]
        is_planned = getattr(self.engine, "order", "arrival") == "planned"
        self._waiting = Waiting(len(places), is_planned=is_planned)
        try:
            async with asyncio.TaskGroup() as group:
                for replica in self.replicas:
                    group.create_task(replica.start())
        except BaseExceptionGroup as failed:
            raise first(failed) from failed
        self.resume()

    def resume(self) -> None:
        """Listen to the actors from the event loop that runs now."""
        self._is_paused = False
        for replica in self.replicas:
            self._task(self._listen(replica))
        if self._is_everywhere:
            self._watcher = self._task(self._watch())

    async def pause(self) -> None:
        """Stop listening; the actors stay, and another event loop may resume.

        An actor whose last poll is still out would give it the next answer, which nobody takes.
        """
        self._is_paused = True
        if self._watcher:
            self._watcher.cancel()
        for replica in self.replicas:
            if replica.actor:  # a start may end before there is one
                replica.actor.wake.remote()
        if tasks := set(self._tasks):
            await asyncio.wait(tasks, timeout=PAUSE_S)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """End every engine in order, then its actor."""
        await self.pause()
        await asyncio.gather(*(replica.stop() for replica in self.replicas))
        self._fail_all(EngineError("the engine was stopped"))

    def withdraw(self) -> None:
        """Give up what no actor has yet."""
        fail([future for _, future in self._waiting.clear()], Withdrawn())

    def acquit(self) -> None:
        """Begin to count deaths anew: an actor that nothing is sent to cannot answer for itself."""
        for replica in self.replicas:
            if not replica.is_given_up:
                replica.deaths = 0

    def ask(self, request: Request) -> asyncio.Future[Any]:
        """Queue one request; it leaves in its turn."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._is_dead:
            future.set_exception(self._epitaph())
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

    @property
    def _is_dead(self) -> bool:
        """Whether nothing will answer any more: another machine may still come."""
        may_come = self._is_everywhere and self._alone_s < ALONE_S and not self._end
        return not may_come and all(replica.is_given_up for replica in self.replicas)

    async def _watch(self) -> None:
        """Give an actor to every machine that joins the cluster."""
        while True:
            await asyncio.sleep(JOIN_S)
            found = {*await asyncio.to_thread(cluster.nodes)}
            new = found - {replica.node for replica in self.replicas}
            await asyncio.gather(*(self._join(Replica(self.engine, n)) for n in new))
            is_alone = all(replica.is_given_up for replica in self.replicas)
            self._alone_s = self._alone_s + JOIN_S if is_alone else 0.0
            if self._is_dead:
                self._fail_all(self._epitaph())

    async def _join(self, replica: Replica) -> None:
        """Start the engine of one more actor; where it cannot, the others go on without it."""
        self.replicas.append(replica)
        try:
            await replica.start()
        except GristmillError as error:
            replica.give_up()
            log.error("engine=%s node=%s not_started=%s", replica.name, replica.node, error)  # noqa: TRY400
        else:
            self._task(self._listen(replica))
            self._send()
        finally:
            if not replica.is_ready:
                replica.kill()

    def _send(self) -> None:
        """Give what waits to the actors with most room, a batch each time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            ready = [r for r in self.replicas if r.is_ready and len(r.in_hand) < r.window]
            if not ready:
                return
            # Of those with as much room the one that did not just die: it may not be the request's.
            replica = min(ready, key=lambda r: (len(r.in_hand) / r.window, r.deaths))
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

        while not (self._is_paused or replica.is_given_up):
            try:
                for number, made in await within(replica.actor.poll.remote(), replica.patience_s):
                    replica.deaths = 0
                    if number in replica.in_hand:
                        request, future = replica.in_hand.pop(number)
                        _settle(future, made)
                        self._waiting.lengths.learn(request, made[1])
                self._send()
            except (ray.exceptions.RayError, TimeoutError) as error:
                await self._replace(replica, str(error) or "its process hangs")

    async def _replace(self, replica: Replica, why: str) -> None:
        """Start a new actor for a dead one, unless it keeps dying."""
        lost, replica.in_hand, replica.is_ready = replica.in_hand, {}, False
        self._said = await replica.last_words() or why
        log.error("engine=%s lost_requests=%d said=%s", replica.name, len(lost), self._said)
        held = [future for _, future in lost.values()]
        if all(one.deaths for one in self.replicas if not one.is_given_up):
            # None has answered since it died: what waits may kill them all, a window each time.
            held += [future for _, future in self._waiting.clear()]
        fail(held, EngineLost(f"the engine's process is gone: {self._said}"))
        try:
            await replica.restart()
        except GristmillError as error:
            log.error("engine=%s not_restarted=%s", replica.name, error)  # noqa: TRY400
            self._end = error
        if replica.is_ready:
            self._send()
        elif self._is_dead:
            self._fail_all(self._epitaph())

    def _epitaph(self) -> GristmillError:
        return self._end or EngineError(
            f"the {type(self.engine).__name__} engine died {RESTARTS + 1} times without an answer "
            f"between, or its machines went; it last said: {self._said}; its log is in "
            "/tmp/ray/session_latest/logs (worker-*.err)"
        )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            # A bug here must not leave thousands of rows waiting for ever.
            self._end = EngineError(f"the way to the engine broke: {error!r}")
            for replica in self.replicas:
                replica.give_up()
            self._fail_all(self._end)

    def _fail_all(self, error: GristmillError) -> None:
        held = [future for r in self.replicas for _, future in r.in_hand.values()]
        fail([*held, *(future for _, future in self._waiting.clear())], error)


def _settle(future: asyncio.Future[Any], made: Outcome) -> None:
    if future.done():
        return
    try:
        future.set_result(result(made))
    except Exception as error:  # noqa: BLE001 - the far side's error belongs to the caller
        future.set_exception(error)
