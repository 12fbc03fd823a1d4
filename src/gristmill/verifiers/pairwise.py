"""Judge which of two answers is better, in both orders; a judge that changes its mind says tie.

Source: Zheng et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", arXiv:2306.05685,
section 3.4 (position bias); Arif et al., "The Fellowship of the LLMs", arXiv:2408.08688 (a third
label for a tie).
Differs from the papers: one token decides, by its probabilities. `filters.order_bias` is the same
question without a tie, for pairs that should leave.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.passes import unread
from gristmill.engines.requests import Message, Op, Probs
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.length_bias import Measured, measured
from gristmill.text.turns import question

PROMPT = """Two answers to one request follow. Decide which of them is better by the standard below
alone: neither the order of the answers nor their length says anything. Reply with one letter: A, B,
or C where neither is better.

### Standard
{rubric}

### Request
{request}

### Answer A
{first}

### Answer B
{second}

### Better answer"""
Side = Literal["chosen", "rejected", "tie"]
FIRST: dict[str, Side] = {"A": "chosen", "B": "rejected", "C": "tie"}
SECOND: dict[str, Side] = {"A": "rejected", "B": "chosen", "C": "tie"}
"""What a label means when `chosen` is read first, and when it is read second."""


class Pair(TypedDict):
    """What it reads: the request as `prompt`, else as an instruction with its input."""

    prompt: NotRequired[str | None]
    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    chosen: str | None
    rejected: str | None


class Verdict(TypedDict):
    """What it writes. `passed` is None for a tie and where the judge gave no verdict."""

    passed: bool | None
    """Whether `chosen` is better."""
    status: str
    """chosen, rejected, tie, order_bias (a tie, because the orders disagree), unparsed_judge,
    prompt_too_long, prompt_refused, or empty_answer."""
    detail: str
    winner: str | None
    """chosen, rejected or tie; None without a verdict."""
    margin: float | None
    """-1..1: how much more of the probability is on `chosen` than on `rejected`, over both
    orders; higher is better for `chosen`."""
    is_consistent: bool | None
    """Whether both orders said the same; its mean over the rows is the swap consistency."""


class Judged(Verdict, Measured):
    """The same, with both lengths: see `text.length_bias`."""


class Pairwise(RowStage):
    """Ask twice about a pair, once in each order."""

    version: ClassVar[int] = 2

    rubric: str = Field(default="Correct first, then complete, then clear.", pattern=r"\S")
    """The standard, in words; whatever it leaves open the judge decides."""

    def needs(self) -> dict[str, Op]:
        """The judge gives the probabilities of labels."""
        return {"judge": "choice"}

    async def __call__(self, row: Pair, ctx: Context) -> Judged:
        """Compare the verdicts, not the letters."""
        chosen, rejected = row["chosen"] or "", row["rejected"] or ""
        return Judged(
            **await self._verdict(row, chosen, rejected, ctx), **measured(chosen, rejected)
        )

    async def _verdict(self, row: Pair, chosen: str, rejected: str, ctx: Context) -> Verdict:
        if not (chosen.strip() and rejected.strip()):
            return _none("empty_answer", "one of the two answers is empty")
        request = row.get("prompt") or question(row.get("instruction"), row.get("input"))
        orders = (chosen, rejected), (rejected, chosen)
        asked = [self._ask(request, first, second) for first, second in orders]
        llm = ctx.llm("judge")
        try:
            found: list[Probs] = await asyncio.gather(
                *(llm.choice(one, tuple(FIRST)) for one in asked)
            )
        except (PromptTooLong, PromptRefused) as error:
            return _none(unread(error), str(error))
        if not all(probs.is_complete for probs in found):
            return _none("unparsed_judge", f"mass {min(probs.mass for probs in found):.2f}")
        return _judged(*found)

    def _ask(self, request: str, first: str, second: str) -> list[Message]:
        text = PROMPT.format(rubric=self.rubric, request=request, first=first, second=second)
        return [{"role": "user", "content": text}]


def _judged(first: Probs, second: Probs) -> Verdict:
    sides = [
        names[max(sorted(probs.values), key=probs.values.__getitem__)]
        for probs, names in ((first, FIRST), (second, SECOND))
    ]
    gaps = first.values["A"] - first.values["B"], second.values["B"] - second.values["A"]
    is_consistent = sides[0] == sides[1]
    winner: Side = sides[0] if is_consistent else "tie"
    return {
        "passed": None if winner == "tie" else winner == "chosen",
        "status": winner if is_consistent else "order_bias",
        "detail": f"read first {sides[0]}, read second {sides[1]}",
        "winner": winner,
        "margin": sum(gaps) / 2,
        "is_consistent": is_consistent,
    }


def _none(status: str, detail: str) -> Verdict:
    return {
        "passed": None,
        "status": status,
        "detail": detail,
        "winner": None,
        "margin": None,
        "is_consistent": None,
    }
