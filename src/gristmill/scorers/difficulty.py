"""Difficulty of a question: how often it is failed, or how sure a judge is that it is hard.

Source: Yang et al., "Select2Reason", arXiv:2505.17266. `pass_rate` is their later quantity, 1 minus
the pass rate of a model over n answers, here counted and not regressed: sum the verdicts of n
answers per row before. `judge` is their first, the share of one label in one token.
Differs from the paper: an untuned judge and our own prompt; both labels count in every way to write
them, where the code gives 0 when "1" is not among the two likeliest tokens; and a row whose judge
did not answer has no score.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.engines.passes import Flags, flagged, judged
from gristmill.engines.requests import Message, Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.turns import turns

PROMPT = """Below is a problem. Judge whether it is hard: whether a good student would need several
steps of reasoning, or could easily go wrong. Answer with one digit, 1 for hard and 0 for easy.

### Problem
{problem}

### Hard (1) or easy (0)?"""
LABELS = ("1", "0")
Z = 1.96
"""Standard deviations of a 95 % interval."""


class Hardness(TypedDict, total=False):
    """What it writes; None where nobody answered."""

    score: float | None
    """0..1, higher is harder."""
    low: float | None
    """Lower end of the 95 % interval of a pass-rate difficulty (Wilson); None of a judge's."""
    high: float | None
    """Its upper end."""
    mass: float | None
    """Probability (0..1) that the judge wrote a label at all; None of a pass rate."""
    flags: list[str]
    """`empty_prompt`, `prompt_too_long`, `prompt_refused` and `judge_parse_fail` are added."""


class Difficulty(RowStage):
    """Count failures in two columns, or ask a judge where there are none."""

    version: ClassVar[int] = 2

    by: Literal["judge", "pass_rate"] = "judge"
    """What decides. pass_rate falls back on nothing: a row without answers has no score."""
    passed: str = Field(default="n_passed", pattern=r"^\w+(\.\w+)*$")
    """Column with the number of answers that passed."""
    tried: str = Field(default="n_answers", pattern=r"^\w+(\.\w+)*$")
    """Column with the number of answers that were judged."""

    def reads(self) -> frozenset[str]:
        """The two columns, or the question."""
        if self.by == "pass_rate":
            return frozenset({self.passed, self.tried})
        return frozenset({"instruction", "input", "messages", "flags"})

    def optional(self) -> frozenset[str]:
        """A question may come in several shapes."""
        return self.reads() if self.by == "judge" else frozenset()

    def judges(self) -> frozenset[str]:
        """A judge needs a question."""
        return frozenset({"instruction"} if self.by == "judge" else ())

    def needs(self) -> dict[str, Op]:
        """The judge gives the probabilities of labels."""
        return {"judge": "choice"} if self.by == "judge" else {}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Hardness:
        """Count, or ask once about what stands before the first answer."""
        if self.by == "pass_rate":
            return rated(row[self.passed], row[self.tried])
        said = turns(row)
        first = next((i for i, turn in enumerate(said) if turn["role"] == "assistant"), len(said))
        if not first:
            return _judged(None, None, flagged(row, {"empty_prompt"}))
        problem = "\n\n".join(turn["content"] for turn in said[:first])
        asked: list[Message] = [{"role": "user", "content": PROMPT.format(problem=problem)}]
        probs, mass, flag = await judged(ctx.llm("judge").choice(asked, LABELS))
        if not probs:
            return _judged(None, mass, flagged(row, {flag}))
        return _judged(probs.values["1"], mass, {})


def rated(passed: float | None, tried: float | None) -> Hardness:
    """Return 1 - passed / tried with its interval; ValueError for counts that cannot be."""
    if passed is None or not tried:
        return {"score": None, "low": None, "high": None, "mass": None}
    if not 0 <= passed <= tried:
        raise ValueError(f"{passed} answers of {tried} passed; expected 0 to {tried}")
    rate = 1 - passed / tried
    middle = (rate + Z**2 / (2 * tried)) / (1 + Z**2 / tried)
    half = Z * sqrt(rate * (1 - rate) / tried + Z**2 / (4 * tried**2)) / (1 + Z**2 / tried)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return {"score": rate, "low": low, "high": high, "mass": None}


def _judged(score: float | None, mass: float | None, flags: Flags) -> Hardness:
    return {"score": score, "low": None, "high": None, "mass": mass, **flags}
