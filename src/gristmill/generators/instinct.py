"""INSTINCT: of many wordings of an instruction a bandit finds the best one with few trials.

Source: Lin et al., "Use Your INSTINCT: Instruction Optimization for LLMs using Neural Bandits
Coupled with Transformers", arXiv:2310.02905, section 3; `xqlin98/INSTINCT` (MIT).
Differs from the paper: our own prompt; wordings are sampled, or given, and not decoded from random
soft prompts; their embeddings stand for hidden states, and ridge regression for a small network;
the search also ends with a wording that never fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar, NotRequired, TypedDict

import numpy as np
from pydantic import Field

from gristmill.engines.requests import Completion, Gen, Message, Op, Sampling
from gristmill.geometry.bandit import Bandit
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.known import is_same
from gristmill.text.leaks import heads, leak
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.turns import question
from gristmill.text.words import words

INDUCE = """Somebody was given an instruction, and wrote an output for each of the inputs below by \
it. Write that instruction, so that somebody who has never seen these examples gets the same \
outputs from it. Reply with the instruction alone.
{examples}
### Instruction
"""
MARKS = heads([INDUCE, "### Input\n### Output"])


class Example(TypedDict):
    """What the instruction must lead to."""

    input: str
    output: str


class Task(TypedDict):
    """What it reads: examples without an instruction, and wordings of one where there are some."""

    examples: list[Example]
    candidates: NotRequired[list[str] | None]


class Instructed(TypedDict):
    """What it writes, once per example: the best wording, and what it is worth."""

    instruction: str
    input: str
    output: str
    gen: Gen | None
    """Of the call that wrote the wording; None where it was given."""
    score: float
    """Share (0..1) of the examples it was tried on that it leads to."""
    queries: int
    """Wordings that were tried."""


class Instinct(RowStage):
    """Sample wordings from a few examples, try them on others, keep the best for all of them."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = (
        REPLY_CODES | NON_ANSWERS | {"template_leak", "few_examples", "repeated"}
    )

    candidates: int = Field(default=200, ge=1)
    """Wordings to sample where none are given; the paper's 10,000 cost it no calls."""
    queries: int = Field(default=165, ge=1)
    initial: int = Field(default=40, ge=1)
    """Wordings to try, and how many of them are drawn before the bandit chooses."""
    shown: int = Field(default=5, ge=1)
    """Examples that wordings are sampled from."""
    tests: int = Field(default=20, ge=1)
    """Other examples that a wording is tried on, the same for all."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=256)
    """For wordings; they are tried greedily."""

    def needs(self) -> dict[str, Op]:
        """One that words instructions, the model that they are for, and vectors."""
        return {"writer": "generate", "generator": "generate", "embedder": "embed"}

    async def __call__(self, row: Task, ctx: Context) -> list[Instructed | Drop] | Drop:
        """Collect wordings, try some at random, then those with the highest bound."""
        examples = ctx.rng.sample(row["examples"], len(row["examples"]))
        tests = examples[self.shown :][: self.tests]
        if not tests:
            return Drop("few_examples", f"{len(examples)} examples, {self.shown} of them shown")
        given = [one for one in row.get("candidates") or () if one.strip()]
        made, lost = dict[str, Gen | None].fromkeys(given), list[Instructed | Drop]()
        if not made:
            made, lost = await self._worded(examples[: self.shown], ctx)
        if not (texts := list(made)):
            return lost
        vectors = await asyncio.gather(*(ctx.llm("embedder").embed(text) for text in texts))
        bandit = Bandit(np.array([vector.values for vector in vectors], np.float64))
        first = ctx.rng.sample(range(len(texts)), min(self.initial, self.queries, len(texts)))
        while (n := len(bandit.rewards)) < min(self.queries, len(texts)):
            place = first[n] if n < len(first) else bandit.choose()
            bandit.rewards[place] = await self._worth(texts[place], tests, ctx)
            if bandit.rewards[place] == 1:
                break
        best = bandit.best()
        return [
            Instructed(
                instruction=texts[best], input=one["input"], output=one["output"],
                gen=made[texts[best]], score=bandit.rewards[best], queries=len(bandit.rewards),
            )
            for one in row["examples"]
        ] + lost  # fmt: skip

    async def _worded(
        self, examples: Sequence[Example], ctx: Context
    ) -> tuple[dict[str, Gen | None], list[Instructed | Drop]]:
        """Sample wordings that are unlike each other, with what is none."""
        shown = "".join(f"\n### Input\n{e['input']}\n### Output\n{e['output']}\n" for e in examples)
        ask: list[Message] = [{"role": "user", "content": INDUCE.format(examples=shown)}]
        llm, made, known = ctx.llm("writer"), dict[str, Gen | None](), set[tuple[str, ...]]()
        lost = list[Instructed | Drop]()
        asks = (complete(llm, ask, self.sampling) for _ in range(self.candidates))
        for reply in await asyncio.gather(*asks):
            if isinstance(reply, Drop):
                lost.append(reply)
            elif code := non_answer(reply.text) or (leak(reply.text, MARKS) and "template_leak"):
                lost.append(Drop(code, reply.text))
            elif (said := tuple(words(reply.text))) in known:
                lost.append(Drop("repeated", reply.text))
            else:
                known.add(said)
                made[reply.text.strip()] = reply.gen
        return made, lost

    async def _worth(self, text: str, tests: Sequence[Example], ctx: Context) -> float:
        """Return the share of the tests that a wording leads to; a bad reply is a miss."""
        llm, greedy = ctx.llm("generator"), Sampling(0.0, 1.0, 256)
        chats = ([Message(role="user", content=question(text, one["input"]))] for one in tests)
        replies = await asyncio.gather(*(complete(llm, chat, greedy) for chat in chats))
        return sum(map(_hits, replies, tests)) / len(tests)


def _hits(reply: Completion | Drop, test: Example) -> bool:
    return not isinstance(reply, Drop) and is_same(reply.text, test["output"])
