"""UltraFeedback, critique: what an answer lacks, in words, and a score of all of it.

Source: Cui et al., "UltraFeedback: Boosting Language Models with Scaled AI Feedback",
arXiv:2310.01377, section 2.3 (a critique and an overall score from 1 to 10, an answer at a time);
`OpenBMB/UltraFeedback` (MIT).
Differs from the paper: our own prompt; the score comes as a whole number in JSON, so that a 10 is
never read as a 1.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from pydantic import BaseModel, Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import fill
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.turns import question

PROMPT = """Give feedback on an answer to a request, as a teacher would to whoever wrote it: what \
is good, what is wrong or missing, and how to mend it, in a few sentences that name places in the \
answer. Then score all of it from 1 (worst) to 10 (best); its length says nothing. Reply with \
JSON alone: {{"critique": "...", "score": 7}}

### Request
{request}

### Answer
{answer}

### JSON"""


class Answered(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]
    output: str | None


class Criticised(TypedDict):
    """What it writes; None where there is no answer, or no critique of it."""

    critique: str | None
    score: int | None
    """1 to 10, higher is better."""


class Critique(BaseModel):
    """What the judge writes."""

    critique: str = Field(pattern=r"\S")
    score: Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


class UltraFeedbackCritique(RowStage):
    """Ask once about an answer."""

    sampling: Sampling = Sampling(temperature=0.0, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One judge."""
        return {"judge": "generate"}

    async def __call__(self, row: Answered, ctx: Context) -> Criticised:
        """What cannot be read twice is none."""
        if not (answer := (row["output"] or "").strip()):
            return {"critique": None, "score": None}
        request = question(row["instruction"], row.get("input"))
        text = PROMPT.format(request=request, answer=answer)
        ask: list[Message] = [{"role": "user", "content": text}]
        said = await fill(ctx.llm("judge"), ask, self.sampling, Critique)
        if isinstance(said, Drop):
            return {"critique": None, "score": None}
        return {"critique": said[0].critique.strip(), "score": said[0].score}
