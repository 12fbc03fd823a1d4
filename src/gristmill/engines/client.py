"""One engine behind the answer store: what was answered once is never paid for again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gristmill.engines.base import Engine
from gristmill.engines.requests import Answer, Request
from gristmill.errors import EngineError, RecipeError
from gristmill.storage.answers import Answers


class Client:
    """Asks the store first; equal requests that wait at the same time are asked once."""

    def __init__(
        self,
        engine: Engine,
        answers: Answers,
        attempts: int = 3,
        on_miss: Callable[[], None] | None = None,
    ) -> None:
        self.engine, self.answers, self.attempts, self.on_miss = engine, answers, attempts, on_miss
        self.identity = engine.identity
        self.made = self.replayed = self.tokens = 0
        """Answers that the engine made, answers that the store gave, tokens of those made."""
        self._start: asyncio.Task[None] | None = None
        self._pending: dict[str, asyncio.Task[Answer]] = {}

    def stored(self, request: Request) -> tuple[str, Any] | None:
        """Return the key and the stored answer, or None. Short enough for the event loop."""
        key = request.key(self.identity)
        found = self.answers.get(key)
        if found is None:
            return None
        self.replayed += 1
        return key, request.answer.unpack(found)

    async def ask(self, request: Request) -> tuple[str, Any]:
        """Return the key and the answer: the stored one, or a new one once it is durable."""
        if found := self.stored(request):
            return found
        key = request.key(self.identity)
        if key not in self._pending:
            self._pending[key] = asyncio.create_task(self._make(key, request))
            self._pending[key].add_done_callback(lambda _: self._pending.pop(key))
        return key, await asyncio.shield(self._pending[key])

    async def _make(self, key: str, request: Request) -> Answer:
        if request.op not in self.engine.ops:
            raise RecipeError(
                f"{type(self.engine).__name__} cannot {request.op}, only {sorted(self.engine.ops)}"
            )
        if self._start is None:
            if self.on_miss:
                self.on_miss()
            self._start = asyncio.create_task(self.engine.start())
        await self._start
        for attempt in range(1, self.attempts + 1):
            try:
                made: Answer = await getattr(self.engine, request.op)(request)
                break
            except EngineError:
                if attempt == self.attempts:
                    raise
        self.made += 1
        self.tokens += made.tokens
        if made.durable:
            await self.answers.put(key, made.pack())
        return made

    async def stop(self) -> None:
        """Stop the engine if it was started."""
        if self._start is not None:
            await self.engine.stop()
            self._start = None
