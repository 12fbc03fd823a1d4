"""Which request kills the engine? Those that a dead engine held are asked apart from the others.

One prompt can end an engine each time that it is asked. All that the engine held is lost with it,
and if each loss counted against all of them, one row would take hundreds along. So what was lost
once is asked again with few others that were, and what was lost twice with nothing else in flight:
what the engine dies of then, it alone is to blame for, if the engine answers something harmless
next: then each such prompt costs its own row, however many they are. If it dies of that as well,
the engine is broken, and nothing is blamed.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

from gristmill.engines.base import Engine
from gristmill.engines.leases import Withdrawn
from gristmill.engines.requests import Generate, Request, Sampling
from gristmill.errors import EngineError, EngineLost, EngineRefused, RequirementError
from gristmill.text.plurals import counted

log = logging.getLogger(__name__)

FEW = 16
"""How many requests that were lost once are asked again at the same time."""

BROKEN = 4
"""Requests in a row that it dies of, each alone, where nothing is known to be harmless."""

WORD = Generate("Hello", Sampling(0.0, max_tokens=1))
"""What is harmless to an engine that has answered nothing yet."""


class Suspects:
    """Lets requests to one engine in: all together, few together, or one alone."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.harmless: Request | None = WORD if WORD.op in engine.ops else None
        """The last request that is known to have an answer."""
        self._few, self._one = asyncio.Semaphore(FEW), asyncio.Lock()
        self._open, self._empty = asyncio.Event(), asyncio.Event()
        self._open.set()
        self._empty.set()
        self._inside = self._alone = 0
        """How many are asked among others; how many are, or want to be, asked alone."""
        self._killers: dict[str, str] = {}
        """What the engine died of, and its last words."""
        self._lone_deaths = 0
        """In a row: an answer sets it back to 0."""

    async def ask(self, request: Request, losses: int) -> Any:
        """Ask the engine once the request, having been lost so many times, may be asked.

        Raises:
            EngineLost: The engine died, perhaps of another request.
            EngineRefused: It died of this one, or of the same prompt drawn otherwise.
            RequirementError: It dies of whatever it is asked.
        """
        if self._killers:
            self._refuse(request)
        if not losses:
            return await self._among_others(request)
        if losses == 1:
            async with self._few:
                return await self._among_others(request)
        self._alone += 1
        self._open.clear()  # until all who were lost twice are through: it empties once for them
        try:
            async with self._one:
                self._refuse(request)
                await self._empty.wait()
                return await self._by_itself(request)
        finally:
            self._alone -= 1
            if not self._alone:
                self._open.set()

    def has_answer(self, request: Request) -> None:
        """Take note that a request is harmless; a tool's call or a training is not asked twice."""
        if request.op not in ("call", "train"):
            self.harmless = request

    async def _by_itself(self, request: Request) -> Any:
        try:
            made = await self._send(request)
        except EngineLost as error:
            self._lone_deaths += 1
            await self._prove(error)
            self._killers[_name(request)] = str(error)
            self.engine.acquit()
            log.error("engine_died_of=%s said=%s", _name(request), error)  # noqa: TRY400
            raise _refused(str(error)) from error
        self._lone_deaths = 0
        self.has_answer(request)
        return made

    async def _prove(self, death: EngineLost) -> None:
        """See whether the engine still answers something harmless.

        Raises:
            RequirementError: It does not, so nothing that it died of is to blame.
        """
        if self.harmless is None and self._lone_deaths < BROKEN:
            return
        try:
            if self.harmless is None:
                raise death
            with suppress(EngineRefused):  # that is an answer, too
                await self._send(self.harmless)
        except Withdrawn:
            return  # it leaves its slot: the next death asks again
        except EngineError as error:
            raise RequirementError(
                f"the engine died of {counted(self._lone_deaths, 'request')} with nothing else in "
                "hand, and answers nothing that is known to be harmless: it is broken, not what it "
                f"was asked; it last said: {error}"
            ) from error
        self._lone_deaths = 0

    async def _among_others(self, request: Request) -> Any:
        while not self._open.is_set():
            await self._open.wait()
        self._inside += 1
        self._empty.clear()
        try:
            made = await self._send(request)
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()
        self._lone_deaths = 0
        self.has_answer(request)
        return made

    async def _send(self, request: Request) -> Any:
        return await getattr(self.engine, request.op)(request)

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
