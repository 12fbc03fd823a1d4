"""Answer entropy: how far a model's answers to one question are apart, which needs no right one.

Source: Zhang et al., "R-Tuning: Instructing Large Language Models to Say 'I Don't Know'",
arXiv:2311.09677, section 3.3 (R-Tuning-U); `shizhediao/R-Tuning` (answers of 15 tokens).
Differs from the paper: ten samples as in its text, where the code draws five; answers are the same
if their words are, without articles.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.known import answer_entropy, bare
from gristmill.text.sentences import first_sentence
from gristmill.text.turns import question


class Asked(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]


class Spread(TypedDict):
    """What it writes."""

    entropy: float | None
    """0..ln(samples) nats, higher is less sure; None where no sample was an answer."""
    majority: str | None
    """The answer given most often, as it was first written."""


class AnswerEntropy(RowStage):
    """Ask the same question several times and count the answers."""

    version: ClassVar[int] = 2
    samples: int = Field(default=10, ge=2)
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=15)
    """An answer is cut at its first full stop."""

    def needs(self) -> dict[str, Op]:
        """The model that will be trained on the rows."""
        return {"generator": "generate"}

    async def __call__(self, row: Asked, ctx: Context) -> Spread:
        """Ask all at once: the samples share the whole prompt."""
        asked = question(row["instruction"], row.get("input"))
        prompt, llm = f"Question: {asked}\nAnswer:", ctx.llm("generator")
        calls = [complete(llm, prompt, self.sampling, whole=False) for _ in range(self.samples)]
        counts, shown = Counter[str](), dict[str, str]()
        for reply in await asyncio.gather(*calls):
            answer = "" if isinstance(reply, Drop) else first_sentence(reply.text)
            if said := " ".join(bare(answer)):
                counts[said] += 1
                shown.setdefault(said, answer)
        if not counts:
            return {"entropy": None, "majority": None}
        most = counts.most_common(1)[0][0]
        return {"entropy": answer_entropy(counts.values()), "majority": shown[most]}
