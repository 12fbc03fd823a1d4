"""Dependability: how sure a judge is, by one token, that an answer is correct and can be trusted.

Source: Zhang et al., "D3: Diversity, Difficulty, and Dependability-Aware Data Selection",
arXiv:2503.11441, the third D.
Differs from the paper: their prompt and scale are not published. Ours asks for yes or no and takes
the share of yes in the probability of both, in every way that the judge may begin to write them.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.passes import Answered, BothSides, flagged, judged
from gristmill.engines.requests import Message, Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.turns import turns

PROMPT = """Below are a task and an answer that someone gave. Check the answer: is everything in it
true, does it do what the task asks, and could a reader rely on it? Answer with one word, yes or no.

### Task
{task}

### Answer
{answer}

### Can it be relied on: yes or no?"""
LABELS = ("yes", "no")


class Trust(TypedDict, total=False):
    """What it writes; None where there is nothing to judge, or the judge did not answer."""

    score: float | None
    """`floor`..1, higher is more dependable."""
    mass: float | None
    """Probability (0..1) that the judge wrote yes or no at all; near 0 it did not understand."""
    flags: list[str]
    """`empty_response`, `empty_prompt`, `prompt_too_long`, `prompt_refused` and
    `judge_parse_fail` are added."""


class Dependability(BothSides, RowStage):
    """Ask a judge about the last answer, given everything before it."""

    version: ClassVar[int] = 2

    floor: float = Field(default=0.01, ge=0, le=1)
    """Least score: D3 multiplies its three parts, and a 0 would be a veto. Our choice."""

    def needs(self) -> dict[str, Op]:
        """The judge gives the probabilities of labels: any engine but the sandbox can."""
        return {"judge": "choice"}

    async def __call__(self, row: Answered, ctx: Context) -> Trust:
        """Ask once."""
        *before, last = turns(row) or [{"role": "assistant", "content": ""}]
        if not before or last["role"] != "assistant" or not last["content"].strip():
            why = "empty_response" if before else "empty_prompt"
            return {"score": None, "mass": None, **flagged(row, {why})}
        if len(before) == 1:
            task = before[0]["content"]
        else:
            task = "\n\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in before)
        asked = PROMPT.format(task=task, answer=last["content"])
        messages: list[Message] = [{"role": "user", "content": asked}]
        probs, mass, flag = await judged(ctx.llm("judge").choice(messages, LABELS))
        if not probs:
            return {"score": None, "mass": mass, **flagged(row, {flag})}
        return {"score": max(self.floor, probs.values["yes"]), "mass": mass}
