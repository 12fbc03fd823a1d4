"""Requests of like length together: little padding, bounded memory, answers as they are ready.

Whatever waits at the same time is a wave. A wave is prepared (tokens are counted), cut into
batches of like length under a budget of tokens, and the batches run in the lanes of this process
(`lanes.py`), the longest first, so that what does not fit in memory fails at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gristmill.engines.lanes import lanes
from gristmill.engines.requests import Answer
from gristmill.errors import EngineError
from gristmill.storage.batches import Batches

WAVE = 2048
"""Requests of one wave: more would pad less, but hold their answers back for longer."""


T = TypeVar("T")


@dataclass(frozen=True)
class Work:
    """A request that must go through the model: what the model reads, and how long it is."""

    payload: Any
    n_tokens: int


Prepared = Work | Answer | Exception
"""An answer or an error needs no model."""


class Buckets:
    """Answer requests in batches of like length."""

    def __init__(
        self,
        prepare: Callable[[list[Any]], list[Prepared]],
        forward: Callable[[list[Any]], Sequence[Answer | Exception]],
        budget: int,
    ) -> None:
        self.prepare, self.forward, self.budget = prepare, forward, budget
        self._waves = Batches(self._wave, size=WAVE, wait_s=0.005, at_once=2)

    async def __call__(self, request: Any) -> Any:
        """Return the answer to one request."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waves((request, answer)).add_done_callback(lambda wave: _pass_on(wave, answer))
        return await answer

    async def _wave(self, items: list[tuple[Any, asyncio.Future[Any]]]) -> list[None]:
        prepared = await self._prepared([request for request, _ in items])
        works = []
        for found, (_, future) in zip(prepared, items, strict=True):
            if isinstance(found, Work):
                works.append((found, future))
            else:
                _settle(future, found)
        batches = cut(works, self.budget, lambda work: work[0].n_tokens)
        await asyncio.gather(*map(self._batch, batches))
        return [None] * len(items)

    async def _prepared(self, requests: list[Any]) -> list[Any]:
        """Prepare a wave at once; after an error its halves, until the error has one request."""
        job = asyncio.get_running_loop().run_in_executor(lanes(), self.prepare, requests)
        (out,) = await asyncio.gather(job, return_exceptions=True)
        if not isinstance(out, BaseException):
            return out
        if len(requests) == 1:
            return [out]
        half = len(requests) // 2
        return [*await self._prepared(requests[:half]), *await self._prepared(requests[half:])]

    async def _batch(self, batch: Sequence[tuple[Work, asyncio.Future[Any]]]) -> None:
        payloads = [work.payload for work, _ in batch]
        job = asyncio.get_running_loop().run_in_executor(lanes(), self.forward, payloads)
        # Gathered, a failure is a value: only the requests of this batch have failed.
        (out,) = await asyncio.gather(job, return_exceptions=True)
        if isinstance(out, RuntimeError):  # torch: out of memory, no kernel
            longest = batch[0][0].n_tokens
            out = EngineError(f"{len(batch)} requests of up to {longest} tokens: {out}")
        answers = [out] * len(batch) if isinstance(out, BaseException) else out
        for (_, future), answer in zip(batch, answers, strict=True):
            _settle(future, answer)


def cut(works: list[T], budget: int, length: Callable[[T], int]) -> list[list[T]]:
    """Cut into batches, longest first, each of at most `budget` tokens with its padding."""
    batches: list[list[T]] = []
    for work in sorted(works, key=length, reverse=True):
        if not batches or (len(batches[-1]) + 1) * length(batches[-1][0]) > budget:
            batches.append([])
        batches[-1].append(work)
    return batches


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _pass_on(wave: asyncio.Future[None], answer: asyncio.Future[Any]) -> None:
    """Let nobody wait for an answer after its wave was lost."""
    if wave.cancelled():
        answer.cancel()
    elif error := wave.exception():
        _settle(answer, error)
