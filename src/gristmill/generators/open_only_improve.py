"""A second pass over answers: improved by the same open model, if a judge says so in both orders.

Source: Wang et al., "Harnessing the Power of David against Goliath", arXiv:2308.12711 (a strategy
for quality); Zheng et al., "Judging LLM-as-a-Judge", arXiv:2306.05685, section 3.4 (both orders).
Differs from the paper: known from its abstract; form and prompts are ours.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal, NotRequired, TypedDict

from gristmill.engines.requests import Gen, Op, Probs, Sampling
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.leaks import heads, leak
from gristmill.text.refusals import non_answer
from gristmill.text.shingles import same
from gristmill.text.turns import question, user
from gristmill.text.words import words

IMPROVE = """Below are a task and a draft of the answer. Write a better answer: correct what is \
wrong, complete what is missing, leave out what does not belong. Do not make it longer than it has \
to be. Reply with the better answer alone.

### Task
{task}

### Draft
{draft}

### Better answer"""
COMPARE = """Two answers to one task follow. Which of them is better: more correct, then more \
complete, then clearer? Neither their order nor their length says anything. Reply with A or B.

### Task
{task}

### Answer A
{first}

### Answer B
{second}

### A or B"""
LABELS = ("A", "B")
MARKS = heads([IMPROVE])
Status = Literal["improved", "draft_is_better", "order_bias", "unparsed_judge", "no_improvement"]


class Drafted(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]
    output: str
    gen: NotRequired[Gen | None]
    flags: NotRequired[list[str] | None]


class Improved(TypedDict):
    """What it writes; the output is the draft unless the status is `improved`."""

    output: str
    gen: Gen | None
    flags: list[str]
    """`order_bias` is added where the judge went by the order."""
    status: Status
    draft: str | None
    """What the output replaced."""
    growth: float | None
    """Words of the new answer by those of the draft: an improver that only lengthens shows here."""


class OpenOnlyImprove(RowStage):
    """Ask for a better answer, and compare it with the draft in both orders; no row leaves."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset()

    sampling: Sampling = Sampling(temperature=0.7, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """The generator improves; the judge, another open model, gives probabilities of labels."""
        return {"generator": "generate", "judge": "choice"}

    async def __call__(self, row: Drafted, ctx: Context) -> Improved:
        """Keep the draft wherever there is a doubt."""
        task, draft = question(row["instruction"], row.get("input")), row["output"]
        ask = [user(IMPROVE.format(task=task, draft=draft))]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        flags, n = row.get("flags") or [], len(words(draft))
        kept = Improved(
            output=draft, gen=row.get("gen"), flags=flags, status="no_improvement", draft=None,
            growth=None,
        )  # fmt: skip
        if isinstance(reply, Drop) or non_answer(reply.text) or same(reply.text) == same(draft):
            return kept
        if leak(new := reply.text.strip(), MARKS):
            return kept
        kept["growth"] = len(words(new)) / n if n else None
        kept["status"] = status = await self._compare(task, new, draft, ctx)
        if status == "order_bias":
            kept["flags"] = [*flags, "order_bias"]
        if status != "improved":
            return kept
        return {**kept, "output": new, "gen": reply.gen, "draft": draft}

    async def _compare(self, task: str, new: str, draft: str, ctx: Context) -> Status:
        """Return `improved` where the new answer is better in both orders."""
        orders = (new, draft), (draft, new)
        asked = [[user(COMPARE.format(task=task, first=a, second=b))] for a, b in orders]
        llm = ctx.llm("judge")
        try:
            found: list[Probs] = await asyncio.gather(*(llm.choice(one, LABELS) for one in asked))
        except (PromptTooLong, PromptRefused):
            return "unparsed_judge"
        if not all(probs.is_complete for probs in found):
            return "unparsed_judge"
        first, second = found[0].values["A"] > 0.5, found[1].values["B"] > 0.5
        if first != second:
            return "order_bias"
        return "improved" if first else "draft_is_better"
