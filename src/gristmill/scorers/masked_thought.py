"""Masked thought: how much of a response the training input should hide, as data.

Source: Chen et al., "Masked Thought", arXiv:2403.02178: tokens of the response are replaced in the
input with probability q, labels keep them, the prompt is never touched; q grows linearly to its
most over two thirds of the training. 0.4 for GSM8K, 0.2 for MATH and what is made from it.
Differs from the paper: a row says rate, schedule and seed, and the trainer draws the mask anew in
every epoch (`positions`); positions that were frozen here would be the same holes every time. The
id that masks must be a token of its own: padding is hidden from attention.
"""

from __future__ import annotations

from random import Random
from typing import Literal, TypedDict

from pydantic import Field

from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage

GROWTH = 0.66
"""Share of the steps over which the rate grows."""


class Answered(TypedDict):
    """What it reads."""

    output: str | None


class Mask(TypedDict):
    """What it writes; None of all for a row without a response."""

    rate: float | None
    """0..1: the most that is hidden of the response's tokens."""
    schedule: str | None
    """`linear`: see `rate_at`."""
    seed: int | None
    """0..2**31 - 1, of this row: the mask of an epoch is drawn from it and the epoch's number."""
    replace: str | None
    """`mask`: one id stands for every hidden token; `random`: any token of the vocabulary."""


class MaskedThought(RowStage):
    """Annotate a row with its mask."""

    rate: float = Field(default=0.4, ge=0, le=1)
    """The most that is hidden; 0.2 for competition mathematics."""
    replace: Literal["mask", "random"] = "mask"
    """What stands where a token was. The paper's GSM8K runs use random tokens."""

    async def __call__(self, row: Answered, ctx: Context) -> Mask:
        """Draw the row's seed."""
        seed = ctx.rng.getrandbits(31)
        if not (row["output"] or "").strip():
            return {"rate": None, "schedule": None, "seed": None, "replace": None}
        return {"rate": self.rate, "schedule": "linear", "seed": seed, "replace": self.replace}


def rate_at(step: int, n_steps: int, most: float) -> float:
    """Return the share of tokens that is hidden at a step of a training."""
    return min(most, most * step / (GROWTH * n_steps + 1))


def positions(start: int, end: int, rate: float, seed: int, epoch: int) -> list[int]:
    """Return the places of a response, start <= place < end, that an epoch hides."""
    rng = Random(f"{seed}/{epoch}")
    return [place for place in range(start, end) if rng.random() < rate]
