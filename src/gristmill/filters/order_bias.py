"""Drop pairs whose better answer depends on which one the judge reads first.

Source: Zheng et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", arXiv:2306.05685,
section 3.4: ask in both orders, and count a win only where both agree.
Differs from the paper: one token decides, by its probabilities; there is no tie.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, NotRequired, TypedDict

from gristmill.engines.requests import Message, Op, Probs
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.turns import question

PROMPT = """Two answers to one request follow. Decide which of them helps more: correct first, then
complete, then clear. Their order says nothing, nor does their length. Reply with A or B alone.

### Request
{request}

### Answer A
{first}

### Answer B
{second}

### Better answer"""
LABELS = ("A", "B")


class Pair(TypedDict):
    """What it reads: the request as `prompt`, else as an instruction with its input."""

    prompt: NotRequired[str | None]
    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    chosen: str
    rejected: str


class Judged(TypedDict):
    """What it writes."""

    agrees: bool
    """Whether the judge prefers `chosen`, in both orders."""
    preference: float
    """0..1: probability of `chosen`, the mean of both orders."""


class OrderBias(RowStage):
    """Ask about a pair in both orders; the detail has the probability of `chosen` in each."""

    codes: ClassVar[frozenset[str]] = frozenset({"order_bias", "unparsed_judge"})

    def needs(self) -> dict[str, Op]:
        """The judge gives the probabilities of labels."""
        return {"judge": "choice"}

    async def __call__(self, row: Pair, ctx: Context) -> Judged | Drop:
        """Compare the winners."""
        orders = (row["chosen"], row["rejected"]), (row["rejected"], row["chosen"])
        request = row.get("prompt") or question(row.get("instruction"), row.get("input"))
        asked = [_ask(request, first, second) for first, second in orders]
        llm = ctx.llm("judge")
        found: list[Probs] = await asyncio.gather(*(llm.choice(one, LABELS) for one in asked))
        if not all(probs.is_complete for probs in found):
            return Drop("unparsed_judge", f"mass {min(probs.mass for probs in found):.2f}")
        first, second = (probs.values[label] for probs, label in zip(found, LABELS, strict=True))
        if (first > 0.5) != (second > 0.5):
            return Drop("order_bias", f"chosen has {first:.2f} as A and {second:.2f} as B")
        return {"agrees": first > 0.5, "preference": (first + second) / 2}


def _ask(request: str, first: str, second: str) -> list[Message]:
    text = PROMPT.format(request=request, first=first, second=second)
    return [{"role": "user", "content": text}]
