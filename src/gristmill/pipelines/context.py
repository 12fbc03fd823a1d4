"""What an awaiting stage may use besides its row and its parameters. Five things, no sixth."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from gristmill.engines.client import Asks
from gristmill.engines.handles import Asked, Llm, Runs, Trains
from gristmill.engines.requests import Generate, Request
from gristmill.errors import StageError
from gristmill.storage.ids import digest, draw

Calls = dict[tuple[int, ...], list[tuple[str, int]]]


@dataclass(slots=True)
class Context:
    """One row (or family, or table) in one stage. A branch is a context of its own.

    >>> async def dice() -> int:
    ...     return Context({}, seed=7, label="mine", row_id="a").rng.randint(1, 6)
    >>> asyncio.run(dice()) == asyncio.run(dice())
    True
    """

    roles: Mapping[str, Asks]
    seed: int
    label: str
    row_id: str
    round: int = 0
    pool: pa.Table | None = None
    """Rows accepted in earlier rounds, frozen for this one."""
    path: tuple[int, ...] = ()
    _made: Calls = field(default_factory=dict)
    _numbers: Counter[Any] = field(default_factory=Counter)
    _rng: random.Random | None = None
    _task: asyncio.Task[Any] | None = None

    def llm(self, role: str) -> Llm:
        """Return the engine bound to a role in the recipe."""
        return Llm(self, self._bound(role))

    @property
    def sandbox(self) -> Runs:
        """Run programs apart from everything else."""
        return Runs(self, self._bound("sandbox"))

    @property
    def trainer(self) -> Trains:
        """Fine-tune a small model."""
        return Trains(self, self._bound("trainer"))

    def branch(self, i: int) -> Context:
        """Return a context for one of several coroutines that run at the same time."""
        path = (*self.path, i)
        return Context(
            self.roles, self.seed, self.label, self.row_id, self.round, self.pool, path, self._made
        )

    def after(self) -> Context:
        """Return a context for calls that the last call's answer asks for, whoever awaits it."""
        return self.branch(-len(self._made[self.path]))

    @property
    def rng(self) -> random.Random:
        """Random numbers of this row, stage, round and branch: order and shards change nothing."""
        self.own()
        if self._rng is None:
            key = digest(self.seed, self.label, self.round, self.row_id, self.path)
            self._rng = random.Random(key)
        return self._rng

    def used(self) -> tuple[list[str], int]:
        """Return the keys of the answers got, in order of branch and call, and their tokens."""
        calls = [call for path in sorted(self._made) for call in self._made[path]]
        return [key for key, _ in calls if key], sum(tokens for _, tokens in calls)

    def own(self) -> None:
        """Refuse a second task: what it gets would depend on the order of arrival."""
        task = asyncio.current_task()
        self._task = self._task or task
        if task is not self._task:
            raise StageError(
                f"stage '{self.label}' uses one ctx in two tasks at once; "
                "give each coroutine its own ctx.branch(i)"
            )

    def draw(self, request: Generate) -> int:
        """Return the draw of the next of several equal requests of this branch."""
        prompt = request.prompt
        same = prompt if isinstance(prompt, str) else tuple(m["content"] for m in prompt)
        number = self._numbers[of := (same, request.sampling, request.schema)]
        self._numbers[of] = number + 1
        return draw(self.seed, self.label, self.round, self.row_id, self.path, number)

    def call(self, asks: Asks, request: Request) -> Awaitable[Any]:
        """Reserve the call's place and ask; what is stored is there at once, without a task."""
        self.own()
        made = self._made.setdefault(self.path, [])
        if found := asks.stored(request):
            made.append((found[0], found[1].tokens))
            ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            ready.set_result(found[1])
            return ready
        made.append(("", 0))
        return Asked(asks, request, made, len(made) - 1)

    def _bound(self, role: str) -> Asks:
        if role not in self.roles:
            raise StageError(
                f"stage '{self.label}' calls '{role}', which its `needs()` does not name; "
                f"found {sorted(self.roles)}"
            )
        return self.roles[role]
