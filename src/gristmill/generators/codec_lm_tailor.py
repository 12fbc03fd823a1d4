"""CodecLM, tailor: harden an instruction until two models answer it differently well.

Source: Wang et al., "CodecLM: Aligning Language Models with Tailored Synthetic Data",
arXiv:2404.05875, sections 3.2 (actions) and 3.3 (contrastive filtering). Which answer stays, and
that an instruction without a gap goes, is for `selectors.contrastive` to say.
Differs from the paper: our own prompts; an improvement that repeats its parent, or its action, ends
the instruction.
"""

from __future__ import annotations

import asyncio
import re
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import leak, markers
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.rouge import repeats
from gristmill.text.turns import user
from gristmill.text.words import words

IMPROVE = """You make instructions harder for a language model. Change the instruction below by \
the given action. It must stay reasonable, consistent, and answerable in writing. Do not use the \
words of the action. Reply with the new instruction alone.

### Instruction
{instruction}

### Action
{action}

### New instruction"""
RATE = """Rate two answers to an instruction, each from 1 to 10, for how helpful, correct, deep \
and detailed they are. The order in which they stand says nothing. Reply with one line: the two \
numbers, in this order, with a space between them.

### Instruction
{instruction}

### First answer
{first}

### Second answer
{second}

### Two numbers"""
MARKS = markers([IMPROVE])
NUMBERS = re.compile(r"(?m)^[ \t]*(10|[1-9](?:\.\d+)?)[ \t]+(10|[1-9](?:\.\d+)?)[ \t]*$")
Base = TypedDict("Base", {"instruction": str, "meta.codec_lm.actions": list[str]})


class Rated(TypedDict):
    """What it writes: `output` is the strong model's, ratings stand in the two orders."""

    instruction: str
    output: str
    gen: Gen
    target_output: str
    strong: list[float]
    target: list[float]
    iteration: int
    actions_used: list[str]


class CodecLmTailor(RowStage):
    """Answer and rate; harden by an action drawn from the row's, and again, until the gap is wide.

    After the last iteration a row leaves here with whatever gap it has.
    """

    codes: ClassVar[frozenset[str]] = REPLY_CODES | NON_ANSWERS | {"no_gain", "template_leak"}

    iterations: int = Field(default=4, ge=1)
    """Of which the basic instruction is the first."""
    margin: float = Field(default=3.0, ge=0)
    """A gap must exceed it; the same as that of `selectors.contrastive`."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=2048)
    """For answers and improvements; ratings are greedy."""

    def needs(self) -> dict[str, Op]:
        """The strong model also improves and rates; the target is the one to be tuned."""
        return {"strong": "generate", "target": "generate"}

    async def __call__(self, row: Base, ctx: Context) -> Rated | Drop:
        """Compare the answers, then improve, at most `iterations` times."""
        text, used = row["instruction"], list[str]()
        rated = await self._compare(text, used, ctx)
        while not isinstance(rated, Drop) and len(used) + 1 < self.iterations:
            if abs(sum(rated["strong"]) - sum(rated["target"])) / 2 > self.margin:
                break
            used = [*used, ctx.rng.choice(row["meta.codec_lm.actions"])]
            asked = IMPROVE.format(instruction=text, action=used[-1])
            reply = await complete(ctx.llm("strong"), [user(asked)], self.sampling)
            if isinstance(reply, Drop):
                return reply
            child = reply.text.strip()
            if mark := leak(child, [*MARKS, used[-1]]):
                return Drop("template_leak", f"'{mark}' in: {child}")
            if repeats(words(child), words(text)):
                return Drop("no_gain", child)
            text = child
            rated = await self._compare(text, used, ctx)
        return rated

    async def _compare(self, text: str, used: list[str], ctx: Context) -> Rated | Drop:
        """Return both answers with their ratings, each in both orders."""
        asks = (complete(ctx.llm(role), [user(text)], self.sampling) for role in self.needs())
        strong, target = await asyncio.gather(*asks)
        if isinstance(strong, Drop):
            return strong
        if isinstance(target, Drop):
            return target
        if code := non_answer(strong.text):
            return Drop(code, strong.text)
        first = await self._rate(text, strong.text, target.text, ctx)
        if isinstance(first, Drop):
            return first
        second = await self._rate(text, target.text, strong.text, ctx)
        if isinstance(second, Drop):
            return second
        return Rated(
            instruction=text, output=strong.text.strip(), gen=strong.gen,
            target_output=target.text.strip(), strong=[first[0], second[1]],
            target=[first[1], second[0]], iteration=len(used) + 1, actions_used=used,
        )  # fmt: skip

    async def _rate(
        self, text: str, first: str, second: str, ctx: Context
    ) -> tuple[float, float] | Drop:
        """Ask for two numbers, once more where none can be read."""
        asked = [user(RATE.format(instruction=text, first=first, second=second))]
        said = ""
        for temperature in (0.0, self.sampling.temperature):
            how = Sampling(temperature=temperature, max_tokens=64)
            reply = await complete(ctx.llm("strong"), asked, how, whole=False)
            if isinstance(reply, Drop):
                return reply
            if found := NUMBERS.search(said := reply.text):
                return float(found[1]), float(found[2])
        return Drop("unparsed_judge", said)
