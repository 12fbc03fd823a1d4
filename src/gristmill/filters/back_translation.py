"""Drop instructions whose checks, said in words again, ask for something else.

Source: Dong et al., "Self-play with Execution Feedback: Improving Instruction-following
Capabilities of Large Language Models", arXiv:2406.13542, section 3.1 (back-translation).
Differs from the paper: our own prompts; a judge says what contradicts, the paper has a classifier.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete, judge
from gristmill.pipelines.stage import Drop, RowStage

BACK = """A function checks whether a response follows an instruction. Say the instruction, in one \
sentence that begins with a verb. Reply with the sentence alone.

### Function
{function}

### Instruction"""
COMPARE = """Two instructions about the form of a response follow. Reply with one word: \
contradiction, if no response can follow both; entailment, if whatever follows the first also \
follows the second; neutral otherwise.

### First
{first}

### Second
{second}

### Contradiction, entailment or neutral"""
RELATIONS = frozenset({"contradiction", "entailment", "neutral"})
Row = TypedDict("Row", {"instruction": str, "meta.auto_if_checks.functions": list[str]})


class Said(TypedDict):
    """What it writes: what each function was said to ask for."""

    back: list[str]


class BackTranslation(RowStage):
    """Have the first functions of a row said in words, and compare those with its instruction."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"contradicted"}

    n: int = Field(default=3, ge=1)
    """Functions to translate back."""

    def needs(self) -> dict[str, Op]:
        """One model translates, one judges."""
        return {"generator": "generate", "judge": "generate"}

    async def __call__(self, row: Row, ctx: Context) -> Said | Drop:
        """Two calls a function; one contradiction is enough."""
        prompts = [BACK.format(function=f) for f in row["meta.auto_if_checks.functions"][: self.n]]
        llm, greedy = ctx.llm("generator"), Sampling(temperature=0.0, max_tokens=256)
        asked = [complete(llm, [{"role": "user", "content": one}], greedy) for one in prompts]
        back = list[str]()
        for reply in await asyncio.gather(*asked):
            if isinstance(reply, Drop):
                return reply
            back.append(reply.text.strip())
            pair = COMPARE.format(first=row["instruction"], second=back[-1])
            said = await judge(ctx.llm("judge"), [{"role": "user", "content": pair}], RELATIONS)
            if isinstance(said, Drop):
                return said
            if said == "contradiction":
                return Drop("contradicted", back[-1])
        return {"back": back}
