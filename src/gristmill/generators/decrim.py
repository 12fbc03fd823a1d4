"""DeCRIM, first half: answer an instruction, and decompose it into constraints.

Source: Ferraz et al., "LLM Self-Correction with DeCRIM: Decompose, Critique, and Refine for
Enhanced Following of Instructions with Multiple Constraints", arXiv:2410.06458, section 4.
`decrim_refine` criticises and refines.
Differs from the paper: our own prompts (the paper's are not public); a constraint must quote the
instruction, because models invent some.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from pydantic import BaseModel

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete, fill
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.words import words

DECOMPOSE = """List every constraint that an instruction puts on its answer, each so that it can \
be checked by itself, and quote the words of the instruction that ask for it. Invent none. Reply \
with JSON alone: {{"constraints": [{{"constraint": "...", "quote": "..."}}]}}

### Instruction
{instruction}

### JSON"""


class Asked(TypedDict):
    """What it reads."""

    instruction: str


class Drafted(TypedDict):
    """What it writes."""

    output: str
    constraints: list[str]
    """Those whose quotes stand in the instruction; there may be none."""
    gen: Gen


class Quoted(BaseModel):
    """A constraint and where it stands."""

    constraint: str
    quote: str


class Decomposed(BaseModel):
    """What the model finds in an instruction."""

    constraints: list[Quoted]


class Decrim(RowStage):
    """Write a first answer, and what it will be criticised by."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES

    sampling: Sampling = Sampling(temperature=0.7)
    """For the answer; the decomposer is greedy."""

    def needs(self) -> dict[str, Op]:
        """One model answers, one decomposes: they may be the same."""
        return {"generator": "generate", "judge": "generate"}

    async def __call__(self, row: Asked, ctx: Context) -> Drafted | Drop:
        """Two calls."""
        instruction = row["instruction"]
        prompt = DECOMPOSE.format(instruction=instruction)
        found = await fill(
            ctx.llm("judge"), [{"role": "user", "content": prompt}], Sampling(0.0), Decomposed
        )
        if isinstance(found, Drop):
            return found
        ask = complete(
            ctx.llm("generator"), [{"role": "user", "content": instruction}], self.sampling
        )
        reply = await ask
        if isinstance(reply, Drop):
            return reply
        there = f" {' '.join(words(instruction))} "
        quotes = ((one, " ".join(words(one.quote))) for one in found[0].constraints)
        told = [one.constraint for one, quote in quotes if quote and f" {quote} " in there]
        return {"output": reply.text.strip(), "constraints": told, "gen": reply.gen}
