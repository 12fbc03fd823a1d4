"""Replies that no method can use: counted the same way wherever a model is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Coroutine
from typing import Any

from gristmill.engines.handles import Llm
from gristmill.engines.passes import UNREAD, unread
from gristmill.engines.requests import UNFINISHED, Completion, Prompt, Sampling
from gristmill.engines.schemas import Schema, Shape, read, repaired
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.pipelines.stage import Drop
from gristmill.text.words import first_words

REPLY_CODES = UNFINISHED | UNREAD | {"empty", "cut_off", "unparsed_judge", "bad_json"}
"""What `complete`, `fill` and `judge` drop with."""


def complete(
    llm: Llm,
    prompt: Prompt,
    sampling: Sampling,
    schema: Schema | None = None,
    *,
    whole: bool = True,
) -> Coroutine[Any, Any, Completion | Drop]:
    """Return a completion with text in it, or the Drop that its row or child deserves.

    The call is numbered when made, so that `gather` over several is several draws. Pass
    `whole=False` where the beginning is enough, such as a judge's first word.
    """
    return _usable(llm.generate(prompt, sampling, schema), whole)


async def _usable(asked: Awaitable[Completion], whole: bool) -> Completion | Drop:
    try:
        reply = await asked
    except (PromptTooLong, PromptRefused) as error:
        return Drop(unread(error), str(error))
    if reply.finish_reason in UNFINISHED:
        return Drop(reply.finish_reason, reply.text or "no text")
    if whole and reply.finish_reason == "length":
        return Drop("cut_off", f"{reply.completion_tokens} tokens: {reply.text}")
    return reply if reply.text.strip() else Drop("empty", f"{reply.completion_tokens} tokens")


def fill(
    llm: Llm, prompt: Prompt, sampling: Sampling, shape: type[Shape]
) -> Coroutine[Any, Any, tuple[Shape, Completion] | Drop]:
    """Return the object in a reply, with that reply, or the Drop that `complete` gives.

    The engine is told the shape, and the reply is read by it in any case. One that does not fit
    is shown its mistakes and asked for once more; then it is `bad_json`. Numbered as `complete`.
    """
    return _filled(complete(llm, prompt, sampling, shape), llm.after(), prompt, sampling, shape)


async def _filled(
    asked: Awaitable[Completion | Drop],
    again: Llm,
    prompt: Prompt,
    sampling: Sampling,
    shape: type[Shape],
) -> tuple[Shape, Completion] | Drop:
    reply = await asked
    if isinstance(reply, Completion) and isinstance(wrong := read(reply.text, shape), str):
        reply = await complete(again, repaired(prompt, reply.text, wrong), sampling, shape)
    if isinstance(reply, Drop):
        return reply
    found = read(reply.text, shape)
    return Drop("bad_json", f"{found}: {reply.text}") if isinstance(found, str) else (found, reply)


async def judge(llm: Llm, prompt: Prompt, labels: Collection[str]) -> str | Drop:
    """Return the label that a greedy reply begins with; anything else is `unparsed_judge`."""
    reply = await complete(llm, prompt, Sampling(temperature=0.0, max_tokens=8), whole=False)
    if isinstance(reply, Drop):
        return reply
    label = next(iter(first_words(reply.text, 1)), "")
    return label if label in labels else Drop("unparsed_judge", reply.text)
