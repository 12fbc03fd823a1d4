"""Instruction-following difficulty: how little the instruction helps to predict the response.

Source: Li et al., "From Quantity to Quality" (Cherry LLM), arXiv:2308.12032, section 2.2, ranks by
`loss`; Li et al., "Superfiltering", arXiv:2402.00530, ranks by `ppl`. Higher is harder; 1 and above
means that the instruction does not help, and both drop such rows.
Differs from the paper: the span is found by token ids and not by a string search; without an
instruction the response header stays, so every response token is scored in both passes; a row that
cannot be scored has no score and says why, where the code gives 0; every assistant turn counts,
given its history, weighted by tokens, and a conversation with a turn that the scorer cannot read
has no score.
"""

from __future__ import annotations

from math import exp
from typing import ClassVar, TypedDict

from gristmill.engines.passes import Answered, BothSides, answers, flagged, read
from gristmill.engines.requests import Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage


class Difficulty(TypedDict, total=False):
    """What it writes; None where no token could be scored, or not every turn."""

    ppl: float | None
    """exp(nll_cond - nll_uncond): above 0, higher is harder, 1 is no help."""
    loss: float | None
    """nll_cond / nll_uncond: the same side of 1 as `ppl`, but another order."""
    nll_cond: float | None
    """Nats per response token, given the instruction."""
    nll_uncond: float | None
    """Nats per response token, given the response header alone."""
    n_scored: int
    """Response tokens that count."""
    truncated: bool
    """Whether a part of the response did not fit the scorer."""
    flags: list[str]
    """`empty_response`, `empty_prompt`, `truncated`, `prompt_too_long` and `prompt_refused` (a turn
    that the scorer's template cannot write) are added."""


class Ifd(BothSides, RowStage):
    """Score the response twice, with and without its instruction, over the same tokens."""

    version: ClassVar[int] = 2

    def needs(self) -> dict[str, Op]:
        """The scorer is a causal language model."""
        return {"scorer": "score"}

    async def __call__(self, row: Answered, ctx: Context) -> Difficulty:
        """Sum over assistant turns first, divide by all scored tokens last."""
        llm = ctx.llm("scorer")
        calls = [
            llm.score(context, text) for before, text in answers(row) for context in (before, [])
        ]
        passes, flags = await read(calls)
        cond, uncond = list[float](), list[float]()
        for with_it, without in zip(passes[::2], passes[1::2], strict=True):
            n = min(len(with_it.values), len(without.values))
            cond += with_it.values[:n]
            uncond += without.values[:n]
        return {**_difficulty(cond, uncond, truncated="truncated" in flags), **flagged(row, flags)}


def _difficulty(cond: list[float], uncond: list[float], *, truncated: bool) -> Difficulty:
    n = len(cond)
    found: Difficulty = {
        "ppl": None,
        "loss": None,
        "nll_cond": -sum(cond) / n if n else None,
        "nll_uncond": -sum(uncond) / n if n else None,
        "n_scored": n,
        "truncated": truncated,
    }
    with_it, without = found["nll_cond"], found["nll_uncond"]
    if with_it is not None and without is not None:
        found["ppl"] = exp(min(with_it - without, 700.0))  # exp of more is no float
        found["loss"] = with_it / without if without > 0 else None
    return found
