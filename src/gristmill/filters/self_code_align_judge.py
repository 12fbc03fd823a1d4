"""SelfCodeAlign, the judge of seeds: asks whether a docstring is enough to write the code again.

Source: Wei et al., "SelfCodeAlign: Self-Alignment for Code Generation", arXiv:2410.24198, section
3.1 and appendix; `bigcode-project/selfcodealign` (Apache-2.0) for how a reply counts.
Differs from the paper: our own prompt and examples; their order is one of `shot_sets`, so that
rows share prefixes. Where the prompt does not fit the model, half as many are shown, down to none.
An engine that can is held to the two words; others may say anything, and words are counted.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import ClassVar, TypedDict

import orjson
from pydantic import Field

from gristmill.engines.requests import Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.few_shot import Form, halves
from gristmill.text.words import words

REVIEW = Form(
    "A thread of code review. For each function the question is whether its docstring alone, "
    "without the body, tells a good programmer enough to write a function that behaves the same: "
    "what goes in, what comes out, what happens at the edges. The answer is one word, Yes or No.",
    ("code", "enough"),
)
ANSWERS = ("Yes", "No")
EXAMPLES = Path(__file__).with_suffix(".examples.jsonl")


class Seed(TypedDict):
    """What it reads."""

    code: str


class Nothing(TypedDict):
    """It writes no columns."""


class SelfCodeAlignJudge(RowStage):
    """Keep a function for which the model says Yes more often than No; a tie is no Yes."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"unclear_docstring"}

    version: ClassVar[int] = 2
    shot_sets: int = Field(default=16, ge=1)
    """Fixed orders of the seven worked examples. Our choice."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=5, stop=("\n",))

    def needs(self) -> dict[str, Op]:
        """The model that then writes."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> Nothing | Drop:
        """Ask once, greedily, and count words."""
        order = random.Random(3407 + ctx.rng.randrange(self.shot_sets))
        shots = order.sample(examples(), k=len(examples()))
        llm = ctx.llm("generator")
        for n in halves(len(shots)):
            prompt = REVIEW.render([*shots[:n], {"code": row["code"].strip()}])
            reply = await complete(llm, prompt, self.sampling, ANSWERS, whole=False)
            if not (isinstance(reply, Drop) and reply.code == "prompt_too_long"):
                break
        if isinstance(reply, Drop):
            return reply
        said = words(reply.text)
        if not {"yes", "no"} & {*said}:
            return Drop("unparsed_judge", reply.text)
        whole: Nothing = {}
        return (
            whole if said.count("yes") > said.count("no") else Drop("unclear_docstring", reply.text)
        )


@cache
def examples() -> tuple[dict[str, str], ...]:
    """Return the seven worked examples."""
    return tuple(orjson.loads(line) for line in EXAMPLES.read_bytes().splitlines())
