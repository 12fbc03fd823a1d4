"""An engine in this process: requests that it has no room for wait, and leave in planned order."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from pydantic import PrivateAttr

from gristmill.engines.base import Engine
from gristmill.engines.leases import Withdrawn, fail
from gristmill.engines.planner import Waiting
from gristmill.engines.remote import Remote
from gristmill.engines.requests import Request
from gristmill.errors import EngineError

WAIT_S = 0.005
"""How long the first of several requests waits, so that those of the same moment are planned."""


class Turns:
    """The requests of one started engine: `window` of them inside it, the others in the planner."""

    def __init__(self, engine: Engine, window: int) -> None:
        self.engine, self.window = engine, window
        self._waiting: Waiting[asyncio.Future[Any]] = Waiting(1)
        self._inside: dict[asyncio.Task[None], asyncio.Future[Any]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def stop(self) -> None:
        """Give up what is inside or waits: it fails."""
        held = [*self._inside.values(), *(future for _, future in self._waiting.clear())]
        fail(held, EngineError("the engine was stopped"))
        for task in self._inside:
            task.cancel()
        await asyncio.gather(*self._inside, return_exceptions=True)

    def withdraw(self) -> None:
        """Give up what waits for room."""
        fail([future for _, future in self._waiting.clear()], Withdrawn())

    def acquit(self) -> None:
        """Say so to the engine."""
        self.engine.acquit()

    def ask(self, request: Request) -> asyncio.Future[Any]:
        """Queue one request; it leaves in its turn."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.add(request, future)
        if self._timer is None:
            self._timer = loop.call_later(WAIT_S, self._send)
        return future

    async def metrics(self) -> dict[str, float]:
        """Return the engine's counters, and those of the plan."""
        read = getattr(self.engine, "metrics", None)
        return {**(await read() if read else {}), **self._waiting.counters()}

    async def pids(self) -> list[list[int]]:
        """Return the engine's processes."""
        return await self.engine.pids()

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and len(self._inside) < self.window:
            for request, future in self._waiting.take(0, self.window - len(self._inside)):
                if future.done():
                    continue
                task = asyncio.create_task(self._make(request, future))
                self._inside[task] = future
                task.add_done_callback(self._left)
                future.add_done_callback(partial(_give_up, task))

    async def _make(self, request: Request, future: asyncio.Future[Any]) -> None:
        try:
            made = await getattr(self.engine, request.op)(request)
        except Exception as error:  # noqa: BLE001 - an engine's error belongs to the caller
            if not future.done():
                future.set_exception(error)
            return
        self._waiting.lengths.learn(request, made)
        if not future.done():
            future.set_result(made)

    def _left(self, task: asyncio.Task[None]) -> None:
        del self._inside[task]
        self._send()


def _give_up(task: asyncio.Task[None], future: asyncio.Future[Any]) -> None:
    """End a request for whose answer nobody waits any more."""
    if future.cancelled():
        task.cancel()


class InTurn(Remote):
    """Holds an engine of this process: no Ray, but requests are planned all the same."""

    _pool: Turns | None = PrivateAttr(default=None)  # type: ignore[assignment]  # as good as one

    async def start(self) -> None:
        """Start the engine; a second call changes nothing."""
        if self._pool is None:
            await self.engine.start()
            self._pool = Turns(self.engine, self.engine.window)  # type: ignore[attr-defined]

    async def stop(self) -> None:
        """End the engine."""
        await super().rest()
        await self.engine.stop()

    async def rest(self) -> None:
        """Let the engine give its memory back in its own way."""
        await super().rest()
        await self.engine.rest()


def in_turn(engine: Engine) -> Engine:
    """Return an engine of this process, its requests planned where it asks for that."""
    return InTurn(engine=engine) if getattr(engine, "order", "arrival") == "planned" else engine
