"""ITERTL's loss: how far a model ranks the candidates of a row otherwise than their scores do.

Source: Wu et al., "ITERTL: An Iterative Framework for Fine-tuning LLMs for RTL Code Generation",
arXiv:2407.12022, section 3, with the loss of RTLCoder (arXiv:2312.08617).
Differs from the paper: the loss is told, so that rows can be chosen or weighed by it; `rounds` of a
recipe train with it where they name the candidates: `ranked: meta.iter_rtl`.
"""

from __future__ import annotations

from typing import Any, TypedDict

from pydantic import Field

from gristmill.engines.passes import flagged, read
from gristmill.engines.requests import Message, Op
from gristmill.geometry.ranking_loss import ranking_loss, shares
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage


class Ranked(TypedDict, total=False):
    """What it writes; None where a candidate could not be scored."""

    shares: list[float] | None
    """The model's, of each candidate, summing to 1."""
    ranking_loss: float | None
    """0 and up; higher is ranked more wrongly."""
    loss: float | None
    """(ranking_loss + 1) times the nats per token of the reference, the last candidate."""
    flags: list[str]
    """As the scorer `ifd` adds them."""


class IterRtl(RowStage):
    """Score every candidate under the instruction."""

    candidates: str = Field(default="meta.iter_rtl.candidates", pattern=r"^\w+(\.\w+)*$")
    """Column with the candidates, the reference last."""
    ranks: str = Field(default="meta.iter_rtl.scores", pattern=r"^\w+(\.\w+)*$")
    """Column with a number for each, higher is better."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return frozenset({"instruction", "flags", self.candidates, self.ranks})

    def optional(self) -> frozenset[str]:
        """A row need not have flags."""
        return frozenset({"flags"})

    def needs(self) -> dict[str, Op]:
        """The scorer is a causal language model."""
        return {"scorer": "score"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Ranked:
        """Ask once per candidate."""
        ask: list[Message] = [{"role": "user", "content": row["instruction"] or ""}]
        texts = row[self.candidates] or []
        found, flags = await read([ctx.llm("scorer").score(ask, text) for text in texts])
        nothing: Ranked = {"shares": None, "ranking_loss": None, "loss": None}
        if not found or not all(answer.values for answer in found):
            return {**nothing, **flagged(row, flags)}
        means = [sum(answer.values) / len(answer.values) for answer in found]
        loss = ranking_loss(means, row[self.ranks])
        told: Ranked = {
            "shares": shares(means),
            "ranking_loss": loss,
            "loss": (loss + 1) * -means[-1],
        }
        return {**told, **flagged(row, flags)}
