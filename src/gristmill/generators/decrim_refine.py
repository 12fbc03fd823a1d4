"""DeCRIM, second half: criticise an answer by each constraint, refine it, and look again.

Source: Ferraz et al., "LLM Self-Correction with DeCRIM: Decompose, Critique, and Refine for
Enhanced Following of Instructions with Multiple Constraints", arXiv:2410.06458, section 4.
Differs from the paper: our own prompts; constraints that the row has as parameters are checked by
program, not by the critic, and a refinement that meets fewer of those is not taken.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.constraints.catalogue import Constraint, check
from gristmill.constraints.kinds import Verdict
from gristmill.constraints.wanted import listed, read
from gristmill.engines.handles import Llm
from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage

# The constraint stands last: all of one response share what is before it.
CRITIC = """Judge whether a response meets one constraint of its instruction, that one alone. \
Reply with yes or no, then say in one sentence why.

### Instruction
{instruction}

### Response
{response}

### Constraint
{constraint}

### Yes or no, and why"""
REFINE = """A response does not meet all that its instruction asks for. Write it again so that it \
does; change nothing that was right. Reply with the whole new response alone.

### Instruction
{instruction}

### Response
{response}

### What it misses
{missed}

### New response"""
TOLD = "meta.decrim.constraints"


class Refined(TypedDict):
    """What it writes."""

    output: str
    all_satisfied: bool
    rounds: int
    """Refinements that were asked for."""
    gen: Gen | None
    """Of the refinement; None where the first answer stays."""


class DecrimRefine(RowStage):
    """Refine an answer until nobody finds a constraint missed, or `rounds` times."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "no_constraints",
        "bad_constraint",
        "not_satisfied",
    }

    of: str = ""
    """Column with constraints that a program checks, `cid` and `params` each, if there is one."""
    rounds: int = Field(default=3, ge=1)
    """Refinements at most. Our choice."""
    keep: Literal["satisfied", "all"] = "satisfied"
    sampling: Sampling = Sampling(temperature=0.7)
    """For refinements; the critic is greedy."""

    def reads(self) -> frozenset[str]:
        """One column is a parameter."""
        return frozenset({"instruction", "output", TOLD, self.of} - {""})

    def needs(self) -> dict[str, Op]:
        """One model refines, one criticises: they may be the same."""
        return {"generator": "generate", "judge": "generate"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Refined | Drop:
        """A critic's call for each constraint and a refinement, in turn."""
        found = [read(one, None) for one in listed(row[self.of])] if self.of else []
        checked = [one for one in found if isinstance(one, Constraint)]
        if wrong := [one.measured for one in found if isinstance(one, Verdict)]:
            return Drop("bad_constraint", wrong[0])
        if not checked and not row[TOLD]:
            return Drop("no_constraints", "neither quoted from the instruction nor as parameters")
        text, done, gen = row["output"], 0, None
        while True:
            missed = await self._missed(row, text, checked, ctx.llm("judge"))
            if isinstance(missed, Drop):
                return missed
            if not missed or done == self.rounds:
                break
            done += 1
            told = "\n".join(f"- {one}" for one in missed)
            prompt = REFINE.format(instruction=row["instruction"], response=text, missed=told)
            ask = complete(
                ctx.llm("generator"), [{"role": "user", "content": prompt}], self.sampling
            )
            reply = await ask
            if not isinstance(reply, Drop) and _met(reply.text, checked) >= _met(text, checked):
                text, gen = reply.text.strip(), reply.gen
        if missed and self.keep == "satisfied":
            return Drop("not_satisfied", "; ".join(missed))
        return {"output": text, "all_satisfied": not missed, "rounds": done, "gen": gen}

    async def _missed(
        self, row: dict[str, Any], text: str, checked: list[Constraint], llm: Llm
    ) -> list[str] | Drop:
        """Return what a response misses, each with the reason."""
        seen = [(one.text, check(one, text)) for one in checked]
        missed = [f"{asked} ({verdict.measured})" for asked, verdict in seen if not verdict.passed]
        asked = (
            CRITIC.format(instruction=row["instruction"], response=text, constraint=one)
            for one in row[TOLD]
        )
        greedy = Sampling(temperature=0.0)
        calls = [complete(llm, [{"role": "user", "content": one}], greedy) for one in asked]
        for constraint, said in zip(row[TOLD], await asyncio.gather(*calls), strict=True):
            if isinstance(said, Drop):
                return said
            word, *why = said.text.split(None, 1)
            if (verdict := word.strip(".,:;!*").lower()) not in ("yes", "no"):
                return Drop("unparsed_judge", said.text)
            if verdict == "no":
                missed.append(f"{constraint} ({''.join(why).strip()})")
        return missed


def _met(text: str, checked: list[Constraint]) -> int:
    return sum(check(one, text.strip()).passed for one in checked)
