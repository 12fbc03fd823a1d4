"""MulDimIF, second half: say the constraints as a list, woven into the text, or after examples.

Source: Ye et al., "A Multi-Dimensional Constraint Framework for Evaluating and Improving
Instruction Following in Large Language Models", arXiv:2505.07591, section 3.3 (three patterns).
Differs from the paper: our own prompts. The pattern `example` stays as it is until answers exist;
`mul_dim_if_examples` puts solved rows in front of it.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypedDict, get_args

from pydantic import Field

from gristmill.constraints.wanted import Wanted, told
from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete, judge
from gristmill.pipelines.stage import Drop, RowStage

LISTING = """Rewrite the instruction: first what is to be done, without any rule for the form of \
the answer; below it the line "Follow these rules:" and every constraint as an item of a numbered \
list. Change nothing else. Reply with the rewrite alone.

### Constraints
{had}

### Instruction
{instruction}

### Rewrite"""
INCORPORATION = """Rewrite the instruction as running text, with every constraint woven into its \
sentences and no list. The text itself need not keep to the constraints, and must not answer what \
it asks. Reply with the rewrite alone.

### Constraints
{had}

### Instruction
{instruction}

### Rewrite"""
COVERED = """Does the instruction state every constraint of the list? Reply with one word: yes or \
no.

### Constraints
{had}

### Instruction
{instruction}

### Yes or no"""
Pattern = Literal["listing", "incorporation", "example"]
HOW: dict[Pattern, str] = {"listing": LISTING, "incorporation": INCORPORATION}


Row = TypedDict("Row", {"instruction": str, "meta.mul_dim_if.constraints": list[Wanted]})


class Rewritten(TypedDict):
    """What it writes."""

    instruction: str
    pattern: Pattern
    gen: Gen | None


class MulDimIfPatterns(RowStage):
    """Say an instruction again in a pattern, and check that no constraint got lost."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"not_covered"}

    patterns: tuple[Pattern, ...] = Field(default=get_args(Pattern), min_length=1)
    """Drawn from uniformly."""
    sampling: Sampling = Sampling(temperature=0.7)

    def needs(self) -> dict[str, Op]:
        """One role rewrites and checks."""
        return {"generator": "generate"}

    async def __call__(self, row: Row, ctx: Context) -> Rewritten | Drop:
        """Two calls, none for `example`."""
        pattern, llm = ctx.rng.choice(self.patterns), ctx.llm("generator")
        if pattern == "example":
            return Rewritten(instruction=row["instruction"], pattern=pattern, gen=None)
        had = told(row["meta.mul_dim_if.constraints"])
        prompt = HOW[pattern].format(had=had, instruction=row["instruction"])
        reply = await complete(llm, [{"role": "user", "content": prompt}], self.sampling)
        if isinstance(reply, Drop):
            return reply
        text = reply.text.strip()
        asked = COVERED.format(had=had, instruction=text)
        said = await judge(llm, [{"role": "user", "content": asked}], {"yes", "no"})
        if said != "yes":
            return said if isinstance(said, Drop) else Drop("not_covered", text)
        return Rewritten(instruction=text, pattern=pattern, gen=reply.gen)
