"""Reward: what a model of human preference thinks of the answer.

Source: Ouyang et al., "Training language models to follow instructions with human feedback",
arXiv:2203.02155, section 3.5; InstructMining (arXiv:2307.06290) and Diversify and Conquer
(arXiv:2409.11378) select with it.
Differs from the paper: any published reward model, see the engine `reward`. Values of two models do
not compare, so rank before you mix; and most like long answers, so look at how they go together.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, TypedDict

from gristmill.engines.passes import Answered, BothSides, flagged, unread
from gristmill.engines.requests import Op
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.turns import turns


class Liked(TypedDict, total=False):
    """What it writes; None where there is no answer, or the model could not read it whole."""

    score: float | None
    """A raw logit without bounds, higher is better."""
    flags: list[str]
    """`empty_response`, `empty_prompt`, `prompt_too_long` and `prompt_refused` are added."""


class Reward(BothSides, RowStage):
    """Rate the whole conversation, up to its last answer."""

    def needs(self) -> dict[str, Op]:
        """The reward model is a sequence classifier."""
        return {"reward": "rate"}

    async def __call__(self, row: Answered, ctx: Context) -> Liked:
        """Ask once."""
        said: list[Any] = list(turns(row))
        while said and said[-1]["role"] != "assistant":
            said.pop()
        if len(said) < 2 or not said[-1]["content"].strip():
            why = "empty_response" if len(said) > 1 else "empty_prompt"
            return {"score": None, **flagged(row, {why})}
        try:
            found = await ctx.llm("reward").rate(said)
        except (PromptTooLong, PromptRefused) as error:
            return {"score": None, **flagged(row, {unread(error)})}
        return {"score": found.value if isfinite(found.value) else None}
