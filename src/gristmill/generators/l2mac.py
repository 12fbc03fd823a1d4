"""L2MAC, first half: a specification becomes a plan, an instruction for each step.

Source: Holt, Luyten and van der Schaar, "L2MAC: Large Language Model Automatic Computer for
Extensive Code Generation", arXiv:2310.02003, section 4; `samholt/L2MAC` for the parts. What comes
next is `l2mac_build`.
Differs from the paper: our own prompt; a plan is never revised.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.numbered import numbered

PLAN = """Plan how to build a small Python program from its specification, standard library only: \
a numbered list of {least} to {most} steps, each an instruction of one or two sentences that says \
which files to write, what they must do, and what to test. Reply with the list alone.

### Specification
{specification}

### Plan"""


class Specified(TypedDict):
    """What it reads."""

    instruction: str


class Planned(TypedDict):
    """What it writes; the output is the plan as one text."""

    output: str
    prompt_program: list[str]
    gen: Gen


class L2mac(RowStage):
    """Ask for a plan of a few steps."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_plan"}

    least: int = Field(default=2, ge=1)
    """Steps, at least. Our choice, as is the next."""
    most: int = Field(default=6, ge=1)
    """Steps, at most."""
    sampling: Sampling = Sampling(temperature=0.2, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One model plans."""
        return {"generator": "generate"}

    async def __call__(self, row: Specified, ctx: Context) -> Planned | Drop:
        """Ask once."""
        text = PLAN.format(least=self.least, most=self.most, specification=row["instruction"])
        ask: list[Message] = [{"role": "user", "content": text}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        plan = numbered(reply.text)
        if not self.least <= len(plan) <= self.most:
            return Drop("no_plan", reply.text)
        steps = "\n".join(f"{i}. {step}" for i, step in enumerate(plan, 1))
        return {"output": steps, "prompt_program": plan, "gen": reply.gen}
