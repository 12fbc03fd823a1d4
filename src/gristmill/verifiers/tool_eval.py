"""ToolEval, pass: whether a conversation with calls has done what was asked for.

Source: Qin et al., "ToolLLM: Facilitating Large Language Models to Master 16000+ Real-world APIs",
arXiv:2307.16789, section 3.1 and appendix A.5; `OpenBMB/ToolBench` (Apache-2.0): four evaluations,
the calls are looked at where the answer alone does not say, and whether the task can be solved.
Differs from the paper: our own prompts; where the judge stays unsure nobody throws a coin, and a
tie passes nobody; an answer that only says sorry fails unasked. `scorers.tool_win` is its other
half.
"""

from __future__ import annotations

import asyncio
from typing import Literal, TypedDict

from pydantic import BaseModel, Field

from gristmill.engines.requests import Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import fill
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.refusals import non_answer
from gristmill.text.tool_calls import ToolTurn, api_of, documented, told_calls

SOLVED = """Judge whether an answer does what a request asks for. "solved": it says all that was \
asked for, and nothing in it is an excuse. "unsolved": something is missing, or it says that it \
could not be done. "unsure": the answer alone does not tell. Reply with JSON alone: {{"reason": \
"...", "status": "solved", "unsolved" or "unsure"}}

### Request
{request}
{calls}
### Answer
{answer}

### JSON"""
CALLS = """
### What was called, and what it answered
{calls}
"""
SOLVABLE = """Judge whether a request can be met by the functions below alone: whether they give \
what it needs, and it says what they need. Reply with JSON alone: {{"reason": "...", "solvable": \
true or false}}

### Functions
{functions}

### Request
{request}

### JSON"""
Said = Literal["solved", "unsolved", "unsure"]
Row = TypedDict(
    "Row",
    {
        "instruction": str,
        "output": str | None,
        "messages": list[ToolTurn] | None,
        "meta.tool_llm.api": str,
    },
)


class Judged(TypedDict):
    """What it writes. `passed` is None for a tie and where nobody gave a verdict."""

    passed: bool | None
    status: str
    """solved, unsolvable (passes as well: nobody could have), unsolved, tie, unsure, no_answer,
    apology, or unparsed_judge."""
    pass_rate: float | None
    """Share (0..1) of the evaluations with a verdict that pass; higher is better."""
    votes: list[str]
    """solved, unsolvable, unsolved or unsure, of each evaluation that could be read."""


class Status(BaseModel):
    """What the judge says of an answer."""

    reason: str
    status: Said


class Solvable(BaseModel):
    """What it says of a task."""

    reason: str
    solvable: bool


class ToolEval(RowStage):
    """Evaluate a conversation several times; the majority decides."""

    votes: int = Field(default=4, ge=1)
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=512)

    def needs(self) -> dict[str, Op]:
        """One judge."""
        return {"judge": "generate"}

    async def __call__(self, row: Row, ctx: Context) -> Judged:
        """Ask in branches, one for each evaluation."""
        if not (row["output"] or "").strip() or not row["messages"]:
            return Judged(passed=False, status="no_answer", pass_rate=None, votes=[])
        if non_answer(row["output"] or ""):
            return Judged(passed=False, status="apology", pass_rate=None, votes=[])
        asks = (self._vote(row, ctx.branch(i)) for i in range(self.votes))
        votes = [vote for vote in await asyncio.gather(*asks) if vote]
        return decided(votes)

    async def _vote(self, row: Row, ctx: Context) -> str | None:
        """Return solved, unsolved, unsure or unsolvable; None where a reply could not be read."""
        status: Said = "unsure"
        seen = CALLS.format(calls=told_calls(row["messages"] or []))
        for calls in ("", seen):
            prompt = SOLVED.format(request=row["instruction"], calls=calls, answer=row["output"])
            said = await fill(
                ctx.llm("judge"), [{"role": "user", "content": prompt}], self.sampling, Status
            )
            if isinstance(said, Drop):
                return None
            if (status := said[0].status) != "unsure":
                break
        if status == "solved":
            return status
        functions = documented(api_of(row["meta.tool_llm.api"])["endpoints"])
        prompt = SOLVABLE.format(functions=functions, request=row["instruction"])
        can = await fill(
            ctx.llm("judge"), [{"role": "user", "content": prompt}], self.sampling, Solvable
        )
        if isinstance(can, Drop):
            return None
        return status if can[0].solvable else "unsolvable"


def decided(votes: list[str]) -> Judged:
    """Return the verdict of evaluations: solved and unsolvable pass, unsure says nothing."""
    passes = sum(vote in ("solved", "unsolvable") for vote in votes)
    fails = votes.count("unsolved")
    rate = passes / (passes + fails) if passes + fails else None
    if rate is None:
        return Judged(
            passed=None, status="unsure" if votes else "unparsed_judge", pass_rate=None, votes=votes
        )
    winner = max(("solved", "unsolvable"), key=votes.count) if rate > 0.5 else "unsolved"
    status = "tie" if rate == 0.5 else winner
    return Judged(
        passed=None if status == "tie" else rate > 0.5, status=status, pass_rate=rate, votes=votes
    )
