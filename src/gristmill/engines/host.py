"""The far side of `Remote`: an engine in a process of its own, a Ray actor."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from contextlib import suppress
from functools import partial
from typing import Any

from gristmill import errors
from gristmill.engines.base import Engine
from gristmill.engines.requests import Request
from gristmill.errors import EngineError, EngineLost, GristmillError

Outcome = tuple[str, Any]
"""("ok", answer), or the name of an error in `gristmill.errors` and its message."""
WINDOW = 512
"""Requests in hand of an engine that names no window of its own."""
GATHER_S = 0.005
"""How long the first finished answer waits for others."""


class Host:
    """Takes requests in batches and hands back answers one by one as they finish."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._done: list[tuple[int, Outcome]] = []
        self._some = asyncio.Event()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def start(self) -> Outcome:
        """Load the engine."""
        return await outcome(self.engine.start())

    async def submit(self, batch: list[tuple[int, Request]]) -> None:
        """Begin to answer a batch of numbered requests."""
        for number, request in batch:
            task = self._tasks[number] = asyncio.create_task(self._answer(number, request))
            task.add_done_callback(partial(self._forget, number))

    async def give_up(self, number: int) -> None:
        """Stop answering a request: nobody waits for it any more."""
        if number in self._tasks:
            self._tasks[number].cancel()

    async def poll(self) -> list[tuple[int, Outcome]]:
        """Wait for finished answers; empty after a while without any: the process lives."""
        try:
            await asyncio.wait_for(self._some.wait(), 2.0)
        except TimeoutError:
            return []
        if len(self._done) < 64:
            await asyncio.sleep(GATHER_S)
        done, self._done = self._done, []
        self._some.clear()
        return done

    async def wake(self) -> None:
        """Let the poll that waits now return, with what there is."""
        self._some.set()

    async def metrics(self) -> dict[str, float]:
        """Return the engine's own counters, where it has any."""
        read = getattr(self.engine, "metrics", None)
        return dict(await read()) if read else {}

    async def window(self) -> int:
        """Return how many requests the engine, once started, takes at a time."""
        window: int = getattr(self.engine, "window", WINDOW)
        return window

    async def pids(self) -> list[int]:
        """Return the number of this process and of those that it started."""
        import psutil

        children = psutil.Process().children(recursive=True)
        return [os.getpid(), *(child.pid for child in children)]

    async def stop(self) -> Outcome:
        """End the engine, and what a start that did not end has left."""
        ended = await outcome(self.engine.stop())
        end_children()
        return ended

    def _forget(self, number: int, _: asyncio.Task[None]) -> None:
        del self._tasks[number]

    async def _answer(self, number: int, request: Request) -> None:
        made = await outcome(getattr(self.engine, request.op)(request))
        if made[0] == EngineLost.__name__:
            leave(made[1])
        self._done.append((number, made))
        self._some.set()


async def outcome(call: Any) -> Outcome:
    """Await a call; an error becomes its name and message, so that it can cross processes."""
    try:
        return "ok", await call
    except GristmillError as error:
        return type(error).__name__, str(error)
    except Exception:  # noqa: BLE001 - an engine's process: the caller gets the traceback
        return EngineError.__name__, traceback.format_exc()


def result(made: Outcome) -> Any:
    """Return the answer of an outcome, or raise its error."""
    name, value = made
    if name == "ok":
        return value
    raise getattr(errors, name, EngineError)(value)


def leave(why: str) -> None:
    """End this process and its children hard: a dead engine is not shut down in order."""
    sys.stderr.write(f"{why}\n")  # the driver reads it there
    sys.stderr.flush()
    end_children()
    os._exit(1)


def end_children() -> None:
    """Kill what this process has started: an engine's core would outlive it."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
