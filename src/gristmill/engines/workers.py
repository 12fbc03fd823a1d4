"""A worker on Ray: runs a job that asks engines, and asks them through the driver.

`Hand` is the driver's side, `Palm` the worker's. An actor cannot call its driver, so the driver
keeps one call open that returns when the worker has something: requests of its jobs, or a
finished job. Answers go back in batches. Nothing here knows what a row is.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gristmill.engines import cluster
from gristmill.engines.requests import Request
from gristmill.errors import EngineError, GristmillError
from gristmill.storage.batches import Batches

Job = Callable[[Mapping[str, "Outbox"]], Awaitable[Any]]
"""Picklable work, given what asks on its behalf, by role."""

SILENCE_S = 120.0
"""A worker that gives no sign of life for so long is stopped: it is ended and given up."""
BATCH, WAIT_S = 64, 0.005
"""Answers per message, and how long the first one waits for others."""


class WorkerLost(Exception):
    """The worker's process ended, or was stopped."""


class Hand:
    """One worker, as the driver sees it."""

    def __init__(self, silence_s: float = SILENCE_S) -> None:
        import ray

        self.load, self.lost = 0, False
        self._ray = ray
        self._actor = (
            ray.remote(num_cpus=0, max_concurrency=1000, concurrency_groups=cluster.LISTENED)(Palm)  # type: ignore[call-overload]  # Ray's stubs know functions only
            .options(runtime_env={"env_vars": cluster.environment()})
            .remote()
        )
        self._jobs: dict[str, asyncio.Future[Any]] = {}
        self._roles: Mapping[str, Any] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies = Batches(self._deliver, BATCH, WAIT_S, at_once=4)
        self._pump = asyncio.create_task(self._collect())
        self._watch = asyncio.create_task(self._listen(silence_s))

    async def run(self, name: str, job: Job, roles: Mapping[str, Any]) -> Any:
        """Run one job there; raise WorkerLost when the worker dies first."""
        self._roles = roles
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._jobs[name] = done
        self.load += 1
        try:
            try:
                await self._actor.start.remote(name, job, sorted(roles))
            except self._ray.exceptions.RayError as error:
                # `_collect` may not have heard yet: the next attempt must not come here again.
                self._lose(error)
            return await done
        finally:
            self.load -= 1
            self._jobs.pop(name, None)

    async def close(self) -> None:
        """End the worker and what was under way for it."""
        tasks = [self._pump, self._watch, *self._tasks]
        for task in tasks:
            task.cancel()
        self._ray.kill(self._actor)
        # Ray may leave a cancelled call waiting: a clean stop is bounded.
        await asyncio.wait(tasks, timeout=5)

    async def _collect(self) -> None:
        try:
            while True:
                asked, finished = await self._actor.collect.remote()
                for number, role, request in asked:
                    task = asyncio.create_task(self._answer(number, role, request))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                for name, outcome in finished:
                    self._finish(name, outcome)
        except self._ray.exceptions.RayError as error:
            self._lose(error)
        except Exception as error:
            # A bug here must not leave its shards waiting for ever.
            self._lose(error)
            raise

    async def _listen(self, silence_s: float) -> None:
        try:
            await cluster.listen(self._actor.pid, silence_s)
        except (self._ray.exceptions.RayError, TimeoutError) as error:
            self._lose(error)

    def _lose(self, error: BaseException) -> None:
        """Give up this worker and end what may be left of it: its shards start again elsewhere."""
        self.lost = True
        self._ray.kill(self._actor)
        for name in list(self._jobs):
            lost = WorkerLost(str(error))
            lost.__cause__ = error
            self._finish(name, lost)

    def _finish(self, name: str, outcome: Any) -> None:
        waiting = self._jobs.get(name)
        if waiting is None or waiting.done():
            return
        if isinstance(outcome, BaseException):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(outcome)

    async def _answer(self, number: int, role: str, request: Request) -> None:
        reply: Any
        try:
            reply = await self._roles[role].ask(request)
        except GristmillError as error:
            reply = error
        except Exception:  # noqa: BLE001 - whatever an engine raises fails its row, there as here
            reply = EngineError(traceback.format_exc())
        try:
            await self._replies((number, reply))
        except Exception as error:  # noqa: BLE001 - a reply that cannot arrive leaves its row waiting
            self._lose(error)

    async def _deliver(self, replies: list[tuple[int, Any]]) -> list[None]:
        await self._actor.deliver.remote(replies)
        return [None] * len(replies)


@dataclass
class Palm:
    """One worker, inside its own process."""

    _asked: list[tuple[int, str, Request]] = field(default_factory=list)
    _finished: list[tuple[str, Any]] = field(default_factory=list)
    _waiting: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _numbers: int = 0
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, name: str, job: Job, roles: list[str]) -> None:
        """Begin a job."""
        task = asyncio.create_task(self._run(name, job, roles))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def pid(self) -> int:
        """Return the process that this is."""
        return os.getpid()

    async def collect(self) -> tuple[list[Any], list[Any]]:
        """Wait for something to tell; return (requests, finished jobs)."""
        await self._more.wait()
        if len(self._asked) < BATCH and not self._finished:
            await asyncio.sleep(WAIT_S)
        self._more.clear()
        asked, self._asked = self._asked, []
        finished, self._finished = self._finished, []
        return asked, finished

    async def deliver(self, replies: list[tuple[int, Any]]) -> None:
        """Give answers to the rows that wait for them."""
        for number, reply in replies:
            waiting = self._waiting.pop(number)
            if waiting.done():
                continue
            if isinstance(reply, BaseException):
                waiting.set_exception(reply)
            else:
                waiting.set_result(reply)

    def ask(self, role: str, request: Request) -> asyncio.Future[Any]:
        """Send a request of a row to the driver."""
        self._numbers += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[self._numbers] = future
        self._asked.append((self._numbers, role, request))
        self._more.set()
        return future

    async def _run(self, name: str, job: Job, roles: list[str]) -> None:
        outcome: Any
        try:
            outcome = await job({role: Outbox(self, role) for role in roles})
        except Exception as error:  # noqa: BLE001 - a process ends here: the driver raises it again
            outcome = error
        self._finished.append((name, outcome))
        self._more.set()


@dataclass(frozen=True)
class Outbox:
    """A role's engine, as a row of a worker sees it."""

    palm: Palm
    role: str

    def stored(self, _: Request) -> None:
        """Nothing is at hand here: the store is the driver's."""

    async def ask(self, request: Request) -> tuple[str, Any]:
        """Return the key and the answer."""
        reply: tuple[str, Any] = await self.palm.ask(self.role, request)
        return reply
