"""Which request kills the engine? Those that a dead engine held are asked apart from the others.

One prompt can end an engine each time that it is asked. All that the engine held is lost with it,
and if each loss counted against all of them, one row would take hundreds along. So what was lost
once is asked again with few others that were, and what was lost twice with nothing else in flight:
what the engine dies of then, it alone is to blame for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from gristmill.engines.requests import Generate, Request
from gristmill.errors import EngineLost, EngineRefused, RequirementError

log = logging.getLogger(__name__)

FEW = 16
"""How many requests that were lost once are asked again at the same time."""

BROKEN = 4
"""Requests in a row that it dies of, each alone, after which the engine is to blame."""

T = TypeVar("T")


class Suspects:
    """Lets requests to one engine in: all together, few together, or one alone."""

    def __init__(self) -> None:
        self._few, self._one = asyncio.Semaphore(FEW), asyncio.Lock()
        self._open, self._empty = asyncio.Event(), asyncio.Event()
        self._open.set()
        self._empty.set()
        self._inside = 0
        self._killers: dict[str, str] = {}
        """What the engine died of, and its last words."""
        self._lone_deaths = 0
        """In a row: an answer sets it back to 0."""

    async def ask(self, request: Request, losses: int, call: Callable[[], Awaitable[T]]) -> T:
        """Call once the request, having been lost so many times, may be asked.

        Raises:
            EngineLost: The engine died, perhaps of another request.
            EngineRefused: It died of this one, or of the same prompt drawn otherwise.
            RequirementError: It dies of whatever it is asked.
        """
        if self._killers:
            self._refuse(request)
        if not losses:
            return await self._among_others(call)
        if losses == 1:
            async with self._few:
                return await self._among_others(call)
        async with self._one:
            self._refuse(request)
            self._open.clear()
            try:
                await self._empty.wait()
                made = await call()
            except EngineLost as error:
                self._lone_deaths += 1
                if self._lone_deaths >= BROKEN:
                    raise RequirementError(
                        f"the engine died of {BROKEN} requests in a row, each with nothing else "
                        f"in hand: it is broken, not they; it last said: {error}"
                    ) from error
                self._killers[_name(request)] = str(error)
                log.error("engine_died_of=%s said=%s", _name(request), error)  # noqa: TRY400
                raise _refused(str(error)) from error
            finally:
                self._open.set()
        self._lone_deaths = 0
        return made

    async def _among_others(self, call: Callable[[], Awaitable[T]]) -> T:
        while not self._open.is_set():
            await self._open.wait()
        self._inside += 1
        self._empty.clear()
        try:
            made = await call()
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()
        self._lone_deaths = 0
        return made

    def _refuse(self, request: Request) -> None:
        if words := self._killers.get(_name(request)):
            raise _refused(words)


def _refused(words: str) -> EngineRefused:
    return EngineRefused(
        "the engine died each time that it was asked this, the last time with nothing else in "
        f"hand: {words}"
    )


def _name(request: Request) -> str:
    """Return the same name for every draw from one prompt."""
    return (replace(request, draw=None) if isinstance(request, Generate) else request).key("")
