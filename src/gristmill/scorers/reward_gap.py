"""Reward gap: how much better a row's answer is than what a model would have said itself.

Source: Yu et al., "Diversify and Conquer", arXiv:2409.11378, section 3.2: the reward of the given
answer minus that of the generated one says what is left to learn from rows like this. Their second
form has perplexities in the place of rewards: -log(PPL of generated / PPL of given).
Differs from the paper: perplexities are of answers, given the question, theirs of question and
answer together; greedy answers; in a recipe with rounds the model has seen the picks of the
rounds before and not this row, where theirs was trained on it too.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from gristmill.engines.passes import Answered, BothSides, flagged, unread
from gristmill.engines.requests import Op, Sampling
from gristmill.errors import PromptRefused, PromptTooLong
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.turns import turns


class Gap(TypedDict, total=False):
    """What it writes; None where one of the two answers is missing or could not be rated."""

    score: float | None
    """Given minus generated, in the units of `by`: higher has more to teach."""
    given: float | None
    """The reward of the row's answer, or its nats per token."""
    generated: float | None
    """That of the model's own."""
    flags: list[str]
    """`empty_response`, `empty_prompt`, `no_generation`, `prompt_too_long` and `prompt_refused`
    are added."""


class RewardGap(BothSides, RowStage):
    """Answer the last question again, and rate both answers."""

    by: Literal["reward", "perplexity"] = "reward"
    """What is compared; rewards were the better of the paper's."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=512)

    def needs(self) -> dict[str, Op]:
        """The generator is the model that is trained."""
        asked: dict[str, Op] = {"reward": "rate"} if self.by == "reward" else {"scorer": "score"}
        return {"generator": "generate", **asked}

    async def __call__(self, row: Answered, ctx: Context) -> Gap:
        """Ask three times."""
        said: list[Any] = list(turns(row))
        while said and said[-1]["role"] != "assistant":
            said.pop()
        nothing: Gap = {"score": None, "given": None, "generated": None}
        if len(said) < 2 or not said[-1]["content"].strip():
            why = "empty_response" if len(said) > 1 else "empty_prompt"
            return {**nothing, **flagged(row, {why})}
        asked = said[:-1]
        reply = await complete(ctx.llm("generator"), asked, self.sampling, whole=False)
        if isinstance(reply, Drop):
            return {**nothing, **flagged(row, {"no_generation"})}
        try:
            given = await self._rate(ctx, asked, said[-1]["content"])
            generated = await self._rate(ctx, asked, reply.text)
        except (PromptTooLong, PromptRefused) as error:
            return {**nothing, **flagged(row, {unread(error)})}
        if given is None or generated is None:
            return {**nothing, **flagged(row, {"no_generation"})}
        return {"score": given - generated, "given": given, "generated": generated}

    async def _rate(self, ctx: Context, asked: list[Any], answer: str) -> float | None:
        """Return a reward, or the logarithm of a perplexity; None where there is no token."""
        if self.by == "perplexity":
            return (await ctx.llm("scorer").score(asked, answer)).mean_nll
        return (
            await ctx.llm("reward").rate([*asked, {"role": "assistant", "content": answer}])
        ).value
