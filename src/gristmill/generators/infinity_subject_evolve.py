"""InfinityInstruct-Subject, evolution: a seed becomes broader, deeper, harder or more complex.

Source: "InfinityInstruct-Subject", arXiv:2507.06968 (instruction evolution).
Differs from the paper: known from accounts of it; our own prompts. Instructions that later rounds
wrote for failing labels are answered as they are.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import markers
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.rewrites import REWRITE_FLAWS, rewrite_flaw
from gristmill.text.turns import question, user

EVOLVE = """Write a new instruction after a given one: in its language, understandable to people, \
harmless, and answerable in writing. Reply with the new instruction alone. What is new: {how}

### Given instruction
{instruction}

### Evolved instruction"""
Way = Literal["breadth", "depth", "difficulty", "complexity"]
WAYS: dict[Way, str] = {
    "breadth": "it is about something rarer in the same field, and about as long and as hard.",
    "depth": "it asks about the same matter more deeply, or about more sides of it.",
    "difficulty": "an answer takes more knowledge, or several steps of reasoning.",
    "complexity": "it has more requirements or conditions, in 10 to 20 words at most.",
}
MARKERS = markers([EVOLVE])


class Task(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]


class Evolved(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    output: str
    gen: Gen
    way: str
    """Which of the four, or `targeted`."""


class InfinitySubjectEvolve(RowStage):
    """Make a row in every way of a seed, and answer it; in later rounds answer what comes."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | REWRITE_FLAWS | NON_ANSWERS

    ways: tuple[Way, ...] = Field(default=tuple(WAYS), min_length=1)
    """A row is made in each."""
    evolving: Sampling = Sampling(temperature=1.0, top_p=0.95, max_tokens=2048)
    answering: Sampling = Sampling(temperature=0.7, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """One strong model evolves and answers."""
        return {"generator": "generate"}

    async def __call__(self, row: Task, ctx: Context) -> list[Evolved | Drop]:
        """Go all ways at once."""
        text = question(row["instruction"], row.get("input"))
        if ctx.round:
            return [await self._answer(text, "targeted", ctx)]
        asks = (self._evolve(text, way, ctx.branch(i)) for i, way in enumerate(self.ways))
        return await asyncio.gather(*asks)

    async def _evolve(self, text: str, way: Way, ctx: Context) -> Evolved | Drop:
        prompt = EVOLVE.format(how=WAYS[way], instruction=text)
        reply = await complete(ctx.llm("generator"), [user(prompt)], self.evolving)
        if isinstance(reply, Drop):
            return reply
        if flaw := rewrite_flaw(child := reply.text.strip(), text, MARKERS):
            return Drop(*flaw)
        return await self._answer(child, way, ctx)

    async def _answer(self, text: str, way: str, ctx: Context) -> Evolved | Drop:
        reply = await complete(ctx.llm("generator"), [user(text)], self.answering)
        if isinstance(reply, Drop):
            return reply
        if code := non_answer(reply.text):
            return Drop(code, reply.text)
        output = reply.text.strip()
        return Evolved(instruction=text, input=None, output=output, gen=reply.gen, way=way)
