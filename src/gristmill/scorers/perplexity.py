"""Perplexity: how surprising a response, or an instruction, is to a model.

Source: Marion et al., "When Less is More: Investigating Data Pruning for Pretraining LLMs at
Scale", arXiv:2309.04564. Higher is more surprising: harder, rarer or broken, which is why they
keep the middle of the distribution; Cherry LLM (arXiv:2308.12032) keeps it within clusters.
Differs from the paper: only the response counts (given its instruction), not the whole text;
`of: instruction` scores the prompt alone, behind the model's first token.
"""

from __future__ import annotations

from math import exp
from typing import Literal, TypedDict

from gristmill.engines.passes import Answered, answers, flagged, mean_nll, read
from gristmill.engines.requests import Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage


class Surprise(TypedDict, total=False):
    """What it writes; None where no token could be scored, or not every turn."""

    ppl: float | None
    """exp(nll), 1 and up; higher is more surprising."""
    nll: float | None
    """Nats per token, 0 and up."""
    n_scored: int
    """Tokens that count."""
    flags: list[str]
    """As the scorer `ifd` adds them."""


class Perplexity(RowStage):
    """Score every answer given its history; turns are summed before they are divided."""

    of: Literal["output", "instruction"] = "output"
    """What is scored: the answers, or what stands before the first of them."""

    def needs(self) -> dict[str, Op]:
        """The scorer is a causal language model."""
        return {"scorer": "score"}

    def judges(self) -> frozenset[str]:
        """What it scores must be there."""
        return frozenset({self.of})

    async def __call__(self, row: Answered, ctx: Context) -> Surprise:
        """Ask once per answer."""
        llm, asked = ctx.llm("scorer"), answers(row)
        if self.of == "instruction":
            texts = ["\n".join(turn["content"] for turn in before) for before, _ in asked[:1]]
            calls = [llm.score("", text) for text in texts]
        else:
            calls = [llm.score(before, text) for before, text in asked]
        found, flags = await read(calls)
        nll = mean_nll(found)
        return {
            "ppl": None if nll is None else exp(min(nll, 700.0)),  # exp of more is no float
            "nll": nll,
            "n_scored": sum(len(answer.values) for answer in found),
            **flagged(row, flags),
        }
