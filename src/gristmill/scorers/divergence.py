"""Divergence: how much worse, or just otherwise, a pruned model predicts an answer.

Source: He et al., "PASER: Post-Training Data Selection for Efficient Pruned Large Language Model
Recovery", arXiv:2502.12594, section 3.3: the capability degradation of a row is the Jensen-Shannon
divergence between the pruned and the original model.
Differs from the authors' code: a mean over the tokens of given answers, theirs is a sum over those
of the prompt, by which long rows look more degraded.
"""

from __future__ import annotations

from statistics import fmean
from typing import TypedDict

from gristmill.engines.passes import Answered, BothSides, answers, flagged, read
from gristmill.engines.requests import Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage


class Degradation(TypedDict, total=False):
    """What it writes; None where no token could be scored, or not every turn."""

    score: float | None
    """Nats per answer token, 0..log(2): higher is more degraded."""
    n_tokens: int
    """Of contexts and answers together, as the models read them: what training on it costs."""
    n_scored: int
    """Answer tokens that count."""
    flags: list[str]
    """As the scorer `ifd` adds them."""


class Divergence(BothSides, RowStage):
    """Let both models read every answer given its history; all tokens count the same."""

    def needs(self) -> dict[str, Op]:
        """One engine has both models: `use: divergence`."""
        return {"models": "diverge"}

    async def __call__(self, row: Answered, ctx: Context) -> Degradation:
        """Ask once per answer."""
        llm = ctx.llm("models")
        found, flags = await read([llm.diverge(*asked) for asked in answers(row)])
        values = [value for answer in found for value in answer.values]
        return {
            "score": fmean(values) if values else None,
            "n_tokens": max((a.n_context + len(a.values) for a in found), default=0),
            "n_scored": len(values),
            **flagged(row, flags),
        }
