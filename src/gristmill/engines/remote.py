"""Any engine in Ray actors: the same interface, other processes, other machines.

Ray starts at the first request that the store cannot answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

from pydantic import PrivateAttr

from gristmill.engines import cluster
from gristmill.engines.attending import Attend, Attended
from gristmill.engines.base import Engine
from gristmill.engines.calling import Called, CallTool
from gristmill.engines.classifying import Classes, Classify
from gristmill.engines.diverging import Diverge, Divergences
from gristmill.engines.entropies import Entropies, Entropy
from gristmill.engines.pool import Pool
from gristmill.engines.rating import Rate, Rating
from gristmill.engines.requests import (
    Choice,
    Completion,
    Embed,
    Generate,
    LogProbs,
    Op,
    Probs,
    Request,
    Score,
    Vector,
)
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.engines.seeing import See
from gristmill.engines.training import Train, Trained
from gristmill.errors import EngineError

TELL_S = 5.0
"""How long actors that are about to end may take to tell their counters."""


class Remote(Engine):
    """Hosts an engine in `replicas` actors; a request goes to the one that has least to do.

    When an actor dies, the requests that it held raise `EngineLost` (the client asks again) and
    a new actor takes its place.
    """

    engine: Engine
    address: str | None = None
    """The Ray cluster; None is RAY_ADDRESS, or a local one."""

    _pool: Pool | None = PrivateAttr(default=None)
    _is_connected: bool = PrivateAttr(default=False)
    _before: Counter[str] = PrivateAttr(default_factory=Counter)
    """Counters of the actors that have rested."""

    @property
    def ops(self) -> frozenset[Op]:  # type: ignore[override]
        """What the hosted engine can do."""
        return self.engine.ops

    @property
    def identity(self) -> str:
        """The hosted engine's: where it runs changes no answer."""
        return self.engine.identity

    @property
    def kind(self) -> str:
        """The hosted engine's."""
        return self.engine.kind

    def check(self) -> None:
        """Check the hosted engine."""
        self.engine.check()

    def recall(self, answer: Any) -> Any:
        """Ask the hosted engine: its files are on a disk that both sides see."""
        return self.engine.recall(answer)

    async def foresee(self, request: Request) -> None:
        """Ask the hosted engine, on this side."""
        await self.engine.foresee(request)

    async def start(self) -> None:
        """Start Ray and the actors; a second call changes nothing."""
        if self._pool is not None:
            return
        if not self._is_connected:
            await asyncio.to_thread(cluster.connect, self.address)
            self._is_connected = True
        self._pool = Pool(self.engine)
        try:
            await self._pool.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the actors, and Ray if nobody else uses it."""
        await self.rest()
        if self._is_connected:
            self._is_connected = False
            await asyncio.to_thread(cluster.release)

    async def rest(self) -> None:
        """End the actors, remember their counters; Ray stays."""
        if self._pool is not None:
            with suppress(TimeoutError):
                self._before.update(await asyncio.wait_for(self._pool.metrics(), TELL_S))
            pool, self._pool = self._pool, None
            await pool.stop()

    def withdraw(self) -> None:
        """Give up what waits for room."""
        if self._pool is not None:
            self._pool.withdraw()

    def acquit(self) -> None:
        """Let no actor be given up for deaths so far."""
        if self._pool is not None:
            self._pool.acquit()

    async def metrics(self) -> dict[str, float]:
        """Return the counters of all actors, added up."""
        now = await self._pool.metrics() if self._pool else {}
        return {name: now.get(name, 0.0) + self._before[name] for name in {**self._before, **now}}

    async def pids(self) -> list[list[int]]:
        """Return the processes of every actor, its own first."""
        return await self._pool.pids() if self._pool else []

    async def generate(self, request: Generate) -> Completion:
        """Write one text."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def see(self, request: See) -> Completion:
        """Write one text about images."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def score(self, request: Score) -> LogProbs:
        """Score one response."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def entropy(self, request: Entropy) -> Entropies:
        """Score one response, with the entropy of every prediction."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def diverge(self, request: Diverge) -> Divergences:
        """Compare two models on one response."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def attend(self, request: Attend) -> Attended:
        """Say where answers look."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def rate(self, request: Rate) -> Rating:
        """Rate one conversation."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def classify(self, request: Classify) -> Classes:
        """Classify one text."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def embed(self, request: Embed) -> Vector:
        """Embed one text."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def choice(self, request: Choice) -> Probs:
        """Judge by one token."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def call(self, request: CallTool) -> Called:
        """Call a function."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def run(self, request: Program) -> Verdict:
        """Execute a program."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def train(self, request: Train) -> Trained:
        """Train a model."""
        return await self._ask(request)  # type: ignore[no-any-return]

    async def _ask(self, request: Request) -> Any:
        if self._pool is None:
            raise EngineError("the engine is not started")
        return await self._pool.ask(request)
