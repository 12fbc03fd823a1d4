"""Rubric: what a judge gives an answer on a scale of levels, each described in words.

Source: Cui et al., "UltraFeedback", arXiv:2310.01377, section 2.3 (five described levels); Liu et
al., "G-Eval", arXiv:2303.16634, section 2 (the mean of the levels by their probabilities). DEITA's
scorers (Liu et al., arXiv:2312.15685) have six levels and are tuned for them: name their words.
Differs from the papers: one answer at a time, one token without a rationale, and our own levels.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.passes import Answered, BothSides, flagged, judged
from gristmill.engines.requests import Message, Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.turns import turns

PROMPT = """A request and an answer to it follow. Say which of the levels below the answer has
reached: the highest one whose words are true of all of it. Its length says nothing. Reply with one
digit.

### Levels
{levels}

### Request
{request}

### Answer
{answer}

### Level, 1 to {most}"""
LEVELS = (
    "It does not answer the request, or is wrong in what matters.",
    "It answers a part; what is wrong or missing would mislead a reader.",
    "It answers the request, with mistakes or gaps that a reader would notice.",
    "It is right and complete; it could be clearer or shorter.",
    "It is right, complete and clear, and an expert would have nothing to change.",
)


class Rated(TypedDict, total=False):
    """What it writes; None where the judge gave no level."""

    score: float | None
    """From 1 to the number of levels, their mean by probability; higher is better."""
    level: int | None
    """The likeliest level."""
    mass: float | None
    """Probability (0..1) that the judge wrote a level at all."""
    flags: list[str]
    """`empty_prompt`, `empty_response`, `prompt_too_long`, `prompt_refused` and
    `judge_parse_fail` are added."""


class Rubric(BothSides, RowStage):
    """Ask once about the last answer of a row."""

    version: ClassVar[int] = 2

    levels: tuple[str, ...] = Field(default=LEVELS, min_length=2, max_length=9)
    """What is true of an answer on level 1, 2, ..."""

    def needs(self) -> dict[str, Op]:
        """The judge gives the probabilities of labels."""
        return {"judge": "choice"}

    async def __call__(self, row: Answered, ctx: Context) -> Rated:
        """Show what stands before the last answer, and that answer."""
        said: list[Any] = list(turns(row))
        while said and said[-1]["role"] != "assistant":
            said.pop()
        if len(said) < 2 or not said[-1]["content"].strip():
            return _none(row, "empty_response" if len(said) > 1 else "empty_prompt")
        digits = tuple(str(i) for i in range(1, len(self.levels) + 1))
        probs, mass, flag = await judged(ctx.llm("judge").choice(self._ask(said), digits))
        if not probs:
            return _none(row, flag, mass)
        shares = {int(label): share for label, share in probs.values.items()}
        return {
            "score": sum(level * share for level, share in shares.items()),
            "level": max(sorted(shares), key=shares.__getitem__),
            "mass": mass,
        }

    def _ask(self, said: list[Any]) -> list[Message]:
        levels = "\n".join(f"{i}: {words}" for i, words in enumerate(self.levels, 1))
        request = "\n\n".join(turn["content"] for turn in said[:-1])
        answer, most = said[-1]["content"], len(self.levels)
        text = PROMPT.format(levels=levels, request=request, answer=answer, most=most)
        return [{"role": "user", "content": text}]


def _none(row: Answered, flag: str, mass: float | None = None) -> Rated:
    return {"score": None, "level": None, "mass": mass, **flagged(row, {flag})}
