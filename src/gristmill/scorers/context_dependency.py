"""Context dependency: how much the answers look at what the user said, by attention.

Source: Wang et al., "On the Loss of Context-awareness in General Instruction Fine-tuning",
arXiv:2411.02688, section 4: rows above a threshold are marked in training, so that a tuned model
keeps reading its context. 0.6 there; calibrate it by quantiles for another probe.
Differs from the paper: the score is a column, where the code writes it into the prompt; the probe
is any chat model, see the engine `attention`. Longer prompts collect more attention by themselves.
"""

from __future__ import annotations

from typing import Any, TypedDict

from pydantic import Field

from gristmill.engines.passes import Answered, BothSides, flagged
from gristmill.engines.requests import Op
from gristmill.errors import PromptRefused
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.turns import turns


class Dependency(TypedDict, total=False):
    """What it writes; None where there is no answer to a user, or the probe could not read it."""

    score: float | None
    """0..1, higher looks more at the user: the highest of all turns."""
    turns: list[float | None] | None
    """0..1 of every answer, in order."""
    is_dependent: bool | None
    """Whether the score is above the threshold."""
    flags: list[str]
    """`empty_response`, `empty_prompt`, `truncated` and `prompt_refused` are added."""


class ContextDependency(BothSides, RowStage):
    """Read the whole conversation once; an answer counts what the user said before it."""

    threshold: float = Field(default=0.6, ge=0, le=1)
    """From the paper's runs; its code has 0.5."""

    def needs(self) -> dict[str, Op]:
        """The probe shows its attention."""
        return {"probe": "attend"}

    async def __call__(self, row: Answered, ctx: Context) -> Dependency:
        """Ask once."""
        said: list[Any] = list(turns(row))
        found: Dependency = {"score": None, "turns": None, "is_dependent": None}
        is_asked = bool(said) and said[0]["role"] != "assistant"
        if not is_asked or not any(t["content"].strip() for t in said if t["role"] == "assistant"):
            why = "empty_response" if is_asked else "empty_prompt"
            return {**found, **flagged(row, {why})}
        try:
            seen = await ctx.llm("probe").attend(said)
        except PromptRefused:
            return {**found, **flagged(row, {"prompt_refused"})}
        scores = [value for value in seen.values if value is not None]
        found["turns"] = seen.values
        if scores:
            found["score"] = max(scores)
            found["is_dependent"] = max(scores) > self.threshold
        return {**found, **flagged(row, {"truncated"} if seen.cut else ())}
