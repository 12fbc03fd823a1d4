"""Uncertainty-based prediction difficulty: what a model is sure of and gets wrong.

Source: Zhang et al., "D3: Diversity, Difficulty, and Dependability-Aware Data Selection",
arXiv:2503.11441; per response token, sigmoid(loss) * max(0, 1 - entropy / log V), averaged. The
formula is that of OpenDataArena-Tool (an independent implementation): no code of the authors is
known, nor whether the exponent `beta` belongs to log V.
Differs from both: entropies are exact, over the whole vocabulary of one forward pass; where an
engine shows the likeliest tokens only, from which they come out too low, the middle between their
bounds counts, with a flag. A row that cannot be scored has no score, where the tool gives 0; every
assistant turn counts, weighted by tokens.
The paper scores with a lightly tuned model: name the folder of one as the scorer's `model`. A
token that was foreseen still gives up to 0.5, so long fluent responses differ by entropy alone.
"""

from __future__ import annotations

from math import exp, log
from statistics import fmean
from typing import ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.entropies import Entropies
from gristmill.engines.passes import Answered, BothSides, answers, flagged, mean_nll, read
from gristmill.engines.requests import Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage


class Difficulty(TypedDict, total=False):
    """What it writes; None where no token could be scored, or not every turn."""

    score: float | None
    """0..1 (never 1), higher is harder."""
    low: float | None
    """What it is at least, and below what it is at most: both the score where entropies are
    exact."""
    high: float | None
    nll: float | None
    """Nats per response token."""
    entropy: float | None
    """Nats per response token: the mean uncertainty of the model."""
    n_scored: int
    """Response tokens that count."""
    flags: list[str]
    """As the scorer `ifd` adds them; and `entropy_approx` where entropies have bounds."""


class Upd(BothSides, RowStage):
    """Score every answer given its history, with the entropy of every prediction."""

    version: ClassVar[int] = 2

    beta: float = Field(default=1.0, gt=0)
    """Exponent of log V (V: the model's logits) that entropies are divided by."""

    def needs(self) -> dict[str, Op]:
        """The scorer is a causal language model that gives whole distributions."""
        return {"scorer": "entropy"}

    async def __call__(self, row: Answered, ctx: Context) -> Difficulty:
        """Ask once per answer; all tokens of all answers count the same."""
        llm = ctx.llm("scorer")
        found, flags = await read([llm.entropy(*asked) for asked in answers(row)])
        entropies = [value for answer in found for value in answer.entropies]
        if any(answer.slack for answer in found):
            flags.add("entropy_approx")
        return {
            "score": self._mean(found, 0),
            "low": self._mean(found, 1),
            "high": self._mean(found, -1),
            "nll": mean_nll(found),
            "entropy": fmean(entropies) if entropies else None,
            "n_scored": len(entropies),
            **flagged(row, flags),
        }

    def _mean(self, found: list[Entropies], side: int) -> float | None:
        """Return the score with entropies as they are, or raised or lowered by their slack."""
        tokens = []
        for answer in found:
            most = log(answer.n_vocabulary) ** self.beta
            slack = answer.slack or [0.0] * len(answer.values)
            for value, entropy, off in zip(answer.values, answer.entropies, slack, strict=True):
                sure = max(0.0, 1 - (entropy + side * off) / most)
                tokens.append(sure / (1 + exp(value)))  # sigmoid of the loss, -value
        return fmean(tokens) if tokens else None
