"""One engine behind the answer store: what was answered once is never paid for again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self

from gristmill.engines.base import Engine
from gristmill.engines.leases import Seat, Slots, Withdrawn, release
from gristmill.engines.requests import Answer, Request
from gristmill.engines.suspects import Suspects
from gristmill.errors import (
    EngineError,
    EngineExhausted,
    EngineLost,
    EngineRefused,
    GristmillError,
    RecipeError,
    RequirementError,
)
from gristmill.storage.answers import Answers


class Asks(Protocol):
    """A role's engine behind the answer store, in this process or another."""

    def stored(self, request: Request) -> tuple[str, Any] | None:
        """Return the key and the answer when they are at hand, else None."""
        ...

    async def ask(self, request: Request) -> tuple[str, Any]:
        """Return the key and the answer: the stored one, or a new one once it is durable."""
        ...


class Starter:
    """An engine that roles may share: the first miss starts it, the end of the run stops it."""

    def __init__(
        self,
        engine: Engine,
        on_miss: Callable[[], None] | None = None,
        slots: Slots | None = None,
        name: str = "",
    ) -> None:
        self.engine, self.on_miss, self.name = engine, on_miss, name
        self.suspects = Suspects(engine)
        self._start: asyncio.Task[None] | None = None
        self._has_rested = False
        self._seat = Seat(slots, name, self.ready, self._rest, engine.withdraw) if slots else None

    def another(self, engine: Engine) -> Starter:
        """Return what starts another engine in this one's place."""
        return Starter(engine, self.on_miss, self._seat.slots if self._seat else None, self.name)

    async def enter(self) -> None:
        """Return when the engine runs and has a slot, where it needs one; then `leave` once."""
        await (self._seat.enter() if self._seat else self.ready())

    def leave(self) -> None:
        """Say that what `enter` was for has ended."""
        if self._seat:
            self._seat.leave()

    async def ready(self) -> None:
        """Return when the engine runs.

        Raises:
            RequirementError: It cannot start: that ends the run, it is not the failure of a row.
        """
        if self._start is None:
            if self.on_miss:
                self.on_miss()
            self._start = asyncio.create_task(self.engine.start())
        try:
            await asyncio.shield(self._start)
        except Exception as error:
            if isinstance(error, GristmillError) and not isinstance(error, EngineError):
                raise
            raise RequirementError(
                f"the engine {self.engine.kind} cannot start: {error or repr(error)}; "
                "nothing that is finished is lost, the same command goes on from here"
            ) from error

    @property
    def is_off(self) -> bool:
        """Whether it has not begun to load, or rests."""
        return self._start is None

    @property
    def is_starting(self) -> bool:
        """Whether somebody waits for the engine to load."""
        return self._start is not None and not self._start.done()

    async def stop(self) -> None:
        """Stop the engine if it was started; a second stop does nothing."""
        start, self._start = self._start, None
        if self._seat:
            self._seat.is_open = False
        if start is not None:  # what loads is not waited for, and must not be there afterwards
            start.cancel()
            await asyncio.wait({start})
        if start is not None or self._has_rested:
            self._has_rested = False
            await self.engine.stop()
        if self._seat:
            self._seat.slots.drop(self._seat)

    async def _rest(self) -> None:
        """Leave the slot to another engine."""
        self._start, self._has_rested = None, True
        await release(self.engine, self.name)


class Clock:
    """Runs while anybody is inside."""

    def __init__(self) -> None:
        self._inside, self._before_s, self._since = 0, 0.0, 0.0

    def __enter__(self) -> Self:
        """Start it, unless it runs."""
        if not self._inside:
            self._since = time.monotonic()
        self._inside += 1
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it with the last one."""
        self._inside -= 1
        if not self._inside:
            self._before_s += time.monotonic() - self._since

    @property
    def seconds(self) -> float:
        """Seconds so far in which somebody was inside."""
        return self._before_s + (time.monotonic() - self._since if self._inside else 0.0)


@dataclass(slots=True)
class Tries:
    """How often one request was lost with its engine, and how often it failed."""

    losses: int = 0
    errors: int = 0


class Client:
    """Asks the store first; equal requests that wait at the same time are asked once."""

    def __init__(
        self, engine: Engine, answers: Answers, attempts: int = 3, starter: Starter | None = None
    ) -> None:
        self.starter = starter or Starter(engine)
        self.engine, self.answers, self.attempts = self.starter.engine, answers, attempts
        self.base = self.engine
        """The engine of the recipe: a role may answer with a trained model later."""
        self.identity = engine.identity
        self.made = self.replayed = self.tokens = 0
        """Answers that the engine made, answers that the store gave, tokens of those made."""
        self.waiting, self.busy = 0, Clock()
        """Requests without an answer yet; the time in which the engine, once started, had any."""

    def stored(self, request: Request) -> tuple[str, Any] | None:
        """Return the key and the stored answer, or None. Short enough for the event loop."""
        return self._stored(request.key(self.identity), request)

    def _stored(self, key: str, request: Request) -> tuple[str, Any] | None:
        found = self.answers.get(key)
        answer = None if found is None else self.engine.recall(request.answer.unpack(found))
        if answer is None:
            return None
        self.replayed += 1
        self.starter.suspects.has_answer(request)
        return key, answer

    async def ask(self, request: Request) -> tuple[str, Any]:
        """Return the key and the answer: the stored one, or a new one once it is durable."""
        key, pending = request.key(self.identity), self.answers.pending
        if found := self._stored(key, request):
            return found
        if key not in pending:
            pending[key] = asyncio.create_task(self._make(key, request))
            pending[key].add_done_callback(lambda task: _done(pending, key, task))
        return key, await asyncio.shield(pending[key])

    async def _make(self, key: str, request: Request) -> Answer:
        if request.op not in self.engine.ops:
            raise RecipeError(
                f"{self.engine.kind} cannot {request.op}, only {sorted(self.engine.ops)}"
            )
        if self.starter.is_off:
            await self.engine.foresee(request)
        self.waiting += 1
        try:
            made = await self._in_turn(request)
        finally:
            self.waiting -= 1
        self.made += 1
        self.tokens += made.tokens
        if made.durable:
            await self.answers.put(key, made.pack())
        return made

    async def _in_turn(self, request: Request) -> Answer:
        """Ask while the engine has a slot; what it did not begin then waits for the next one."""
        tries = Tries()
        while True:
            await self.starter.enter()
            try:
                with self.busy:
                    return await self._tried(request, tries)
            except Withdrawn:
                continue
            finally:
                self.starter.leave()

    async def _tried(self, request: Request, tries: Tries) -> Answer:
        """Ask the engine, again where that may help."""
        while True:
            try:
                made: Answer = await self.starter.suspects.ask(request, tries.losses)
            except EngineLost:
                tries.losses += 1
            except EngineError as error:
                tries.errors += 1
                is_final = isinstance(error, EngineRefused | EngineExhausted)
                if tries.errors >= self.attempts or is_final:
                    raise
            else:
                return made

    async def become(self, engine: Engine) -> None:
        """Stop the engine and ask another from now on; its identity names other answers."""
        await self.stop()
        self.starter = self.starter.another(engine)
        self.engine, self.identity = engine, engine.identity

    async def stop(self) -> None:
        """Stop the engine if it was started."""
        await self.starter.stop()


def connect(
    engines: Mapping[str, Engine],
    answers: Answers,
    host: Callable[[Engine], Engine],
    on_miss: Callable[[], None],
    slots: int | None,
) -> tuple[dict[str, Client], int]:
    """Return a client for every role, and how many engines share a slot.

    Roles with the same engine share one starter. Engines that fill a processor take turns where
    there are more of them than `slots`; None is a slot for each.
    """
    roles: dict[int, list[str]] = {}
    for role, engine in engines.items():
        roles.setdefault(id(engine), []).append(role)
    heavy = {id(engine) for engine in engines.values() if engine.hosted}
    line = Slots(slots) if slots and slots < len(heavy) else None
    starters = {}
    for engine in engines.values():
        names = "+".join(roles[id(engine)])
        starter = partial(Starter, slots=line if id(engine) in heavy else None, name=names)
        if id(engine) not in starters:
            starters[id(engine)] = starter(host(engine), on_miss)
    clients = {r: Client(e, answers, starter=starters[id(e)]) for r, e in engines.items()}
    return clients, -(-len(heavy) // slots) if line and slots else 1


async def stop_all(clients: Collection[Client]) -> None:
    """Give up what is still asked, so that no engine starts any more; then stop every engine."""
    for client in clients:
        for task in client.answers.pending.values():
            task.cancel()
    async with AsyncExitStack() as ending:
        for client in clients:
            ending.push_async_callback(client.stop)


def _done(pending: dict[str, asyncio.Task[Any]], key: str, task: asyncio.Task[Any]) -> None:
    """Forget a call that has ended; its error belongs to those who wait, if any still do."""
    del pending[key]
    if not task.cancelled():
        task.exception()
