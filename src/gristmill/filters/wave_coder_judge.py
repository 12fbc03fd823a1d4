"""WaveCoder, the discriminator: a task of code is analysed check by check, and judged.

Source: Yu et al., "WaveCoder: Widespread And Versatile Enhancement For Code Large Language Models
By Instruction Tuning", arXiv:2312.14187, section 3.2; `microsoft/WaveCoder` (MIT) for the checks.
Differs from the paper: our own prompt; a row that is judged bad stays, since later rounds show it
as a bad example: `selectors.threshold` over `good` ends its way. The verdict is what the line of
the answer says, and a reply without every check is none.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.judged_tasks import Task, analysis_in

JUDGE = """Judge a task for programmers and its solution. Go through the checks in their order and \
write each again, with its number and, at its end, `<answer: yes, REASON>` or `<answer: no, \
REASON>`. Then write `- overall answer: yes` where all hold, else `- overall answer: no`, and last \
`- reasons: ` with one or two sentences.

- step 1: check the instruction
1. The programming language is named.
- step 2: check the solution
1. It resolves the instruction with the information.
2. It has no explanation outside the code, unless the task is to explain.
3. It is easy to follow: nothing of it is buried in needless code.
4. It imports what it uses.

### Task
{task}

### Checks
"""


class Made(TypedDict):
    """What it reads."""

    instruction: str
    input: str | None
    output: str


class Judged(TypedDict):
    """What it writes. `good` is 1 or 0."""

    good: int
    failed_checks: list[int]
    """Numbers of the checks that do not hold, from 1 to 5."""
    reasons: str
    analysis: str


class WaveCoderJudge(RowStage):
    """Ask once, greedily."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES

    of: str = Field(default="wave_coder", pattern=r"^\w+$")
    """Label of the generator."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=1024)

    def reads(self) -> frozenset[str]:
        """The name of the task depends on `of`."""
        return frozenset({"instruction", "input", "output", f"meta.{self.of}.task_name"})

    def optional(self) -> frozenset[str]:
        """Not every task brings information."""
        return frozenset({"input"})

    def needs(self) -> dict[str, Op]:
        """A judge."""
        return {"judge": "generate"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Judged | Drop:
        """Take the verdict, with its reasons."""
        name = row[f"meta.{self.of}.task_name"]
        task = Task(name, row["instruction"], row.get("input") or "", row["output"])
        ask: list[Message] = [{"role": "user", "content": JUDGE.format(task=task)}]
        reply = await complete(ctx.llm("judge"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        found = analysis_in(reply.text)
        if found is None:
            return Drop("unparsed_judge", reply.text)
        return {
            "good": int(found.is_good),
            "failed_checks": [i for i, (holds, _) in enumerate(found.checks, 1) if not holds],
            "reasons": found.reasons,
            "analysis": reply.text.strip(),
        }
