"""Forward passes over what a row says: which there are, and why one could not be scored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Any, NotRequired, TypedDict, TypeVar

from gristmill.engines.diverging import Divergences
from gristmill.engines.entropies import Entropies
from gristmill.engines.requests import LogProbs, Probs
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.text.turns import Turn, turns

UNREAD = frozenset({"prompt_too_long", "prompt_refused"})
"""Flags of a turn that was not read at all: the turns that were are not the conversation."""
Scored = TypeVar("Scored", LogProbs, Entropies, Divergences)


class Answered(TypedDict):
    """What most scorers read: `messages` where a row has them, else one exchange."""

    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    messages: NotRequired[list[Turn] | None]
    flags: NotRequired[list[str] | None]


class Flags(TypedDict, total=False):
    """What they write about a row that was not, or not wholly, scored."""

    flags: list[str]


class BothSides:
    """For a stage to which a question without an answer is nothing, nor is the reverse."""

    def judges(self) -> frozenset[str]:
        """Without either side there is nothing to look at."""
        return frozenset({"instruction", "output"})


def answers(row: Mapping[str, Any]) -> list[tuple[list[Turn], str]]:
    """Return every answer of a conversation with the turns before it."""
    said = turns(row)
    places = [i for i, turn in enumerate(said) if turn["role"] == "assistant" and i]
    return [(said[:i], said[i]["content"]) for i in places]


async def read(calls: Sequence[Awaitable[Scored]]) -> tuple[list[Scored], set[str]]:
    """Return what was scored, in order, and flags; nothing where one of the calls was not read.

    Flags: `empty_response`, `empty_prompt` (there was no call), `truncated` (a part did not fit),
    `prompt_too_long`, and `prompt_refused` (the scorer's template cannot write the turns).
    """
    flags, found = set[str](), list[Scored]()
    for answer in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(answer, PromptTooLong | PromptRefused):
            flags.add(unread(answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found.append(answer)
            if len(answer.values) < answer.n_response:
                flags.add("truncated")
    if flags & UNREAD:
        return [], flags
    if not flags and not any(answer.values for answer in found):
        flags.add("empty_response" if calls else "empty_prompt")
    return found, flags


async def judged(call: Awaitable[Probs]) -> tuple[Probs | None, float | None, str]:
    """Return a judgement, its mass, and "" or why there is none: `judge_parse_fail` or unread."""
    try:
        found = await call
    except (PromptTooLong, PromptRefused) as error:
        return None, None, unread(error)
    if not found.is_complete:
        return None, found.mass, "judge_parse_fail"
    return found, found.mass, ""


def unread(error: PromptTooLong | PromptRefused) -> str:
    """Return the flag of a row that a model could not read whole."""
    return "prompt_too_long" if isinstance(error, PromptTooLong) else "prompt_refused"


def mean_nll(found: Collection[LogProbs | Entropies]) -> float | None:
    """Return nats per token over all turns: summed first, divided last."""
    values = [value for answer in found for value in answer.values]
    return -sum(values) / len(values) if values else None


def flagged(row: Mapping[str, Any], flags: Collection[str]) -> Flags:
    """Return the column `flags` with those that a row gets; no column without any."""
    return {"flags": sorted({*(row.get("flags") or []), *flags})} if flags else {}
