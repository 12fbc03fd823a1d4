"""DeCRIM, second half: criticise an answer by each constraint, refine it, and look again.

Source: Ferraz et al., "LLM Self-Correction with DeCRIM: Decompose, Critique, and Refine for
Enhanced Following of Instructions with Multiple Constraints", arXiv:2410.06458, section 4.
Differs from the paper: our own prompts; constraints that the row has as parameters are checked by
program, not by the critic, and a refinement that meets fewer of those is not taken. How far the
critic is right where a program knows is what `verifiers.decrim_critic` measures.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.constraints.catalogue import Constraint
from gristmill.constraints.kinds import Verdict
from gristmill.constraints.wanted import judge, listed, read
from gristmill.engines.handles import Llm
from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.judgements import CRITIC, Critique, criticised
from gristmill.text.turns import user

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
    responses: list[str]
    """What was criticised, the first answer first."""
    critiques: list[list[Critique]]
    """Of each of them, by each constraint; those that a program checks come first."""
    gen: Gen | None
    """Of the refinement; None where the first answer stays."""


class DecrimRefine(RowStage):
    """Refine an answer until nobody finds a constraint missed, or `rounds` times."""

    version: ClassVar[int] = 4
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "no_constraints", "bad_constraint", "not_satisfied"
    }  # fmt: skip

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
        given = [read(one, None) for one in listed(row[self.of])] if self.of else []
        checked = [one for one in given if isinstance(one, Constraint)]
        if wrong := [one.measured for one in given if isinstance(one, Verdict)]:
            return Drop("bad_constraint", wrong[0])
        if not checked and not row[TOLD]:
            return Drop("no_constraints", "neither quoted from the instruction nor as parameters")
        text, gen = row["output"], None
        responses, critiques = list[str](), list[list[Critique]]()
        while True:
            found = await self._criticised(row, text, checked, ctx.llm("judge"))
            if isinstance(found, Drop):
                return found
            responses.append(text)
            critiques.append(found)
            missed = [f"{x['constraint']} ({x['reason']})" for x in found if not x["satisfied"]]
            if not missed or len(responses) > self.rounds:
                break
            said = {"response": text, "missed": "\n".join(f"- {one}" for one in missed)}
            ask = user(REFINE.format(instruction=row["instruction"], **said))
            reply = await complete(ctx.llm("generator"), [ask], self.sampling)
            if not isinstance(reply, Drop) and _met(reply.text, checked) >= _met(text, checked):
                text, gen = reply.text.strip(), reply.gen
        if missed and self.keep == "satisfied":
            return Drop("not_satisfied", "; ".join(missed))
        return {
            "output": text, "all_satisfied": not missed, "rounds": len(responses) - 1,
            "responses": responses, "critiques": critiques, "gen": gen,
        }  # fmt: skip

    async def _criticised(
        self, row: dict[str, Any], text: str, checked: list[Constraint], llm: Llm
    ) -> list[Critique] | Drop:
        """Return what programs and the critic say of a response, by constraint."""
        found = [
            Critique(constraint=one.text, satisfied=seen.passed, reason=seen.measured)
            for one, (seen, _) in zip(checked, judge(checked, text), strict=True)
        ]
        same, greedy = {"instruction": row["instruction"], "response": text}, Sampling(0.0)
        asked = (user(CRITIC.format(**same, constraint=one)) for one in row[TOLD])
        calls = [complete(llm, [one], greedy) for one in asked]
        for constraint, said in zip(row[TOLD], await asyncio.gather(*calls), strict=True):
            if isinstance(said, Drop):
                return said
            if not (verdict := criticised(said.text)):
                return Drop("unparsed_judge", said.text)
            is_met, reason = verdict
            found.append(Critique(constraint=constraint, satisfied=is_met, reason=reason))
        return found


def _met(text: str, checked: list[Constraint]) -> int:
    return sum(seen.passed for seen, _ in judge(checked, text.strip()))
