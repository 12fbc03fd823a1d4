"""A reward model: a sequence classifier with one label, in vLLM's pooling.

Source: Ouyang et al., arXiv:2203.02155, section 3.5: a language model whose last state gives
one number. Conversations go through the model's own chat template; the number is the raw logit,
because a sigmoid makes good answers all alike.
"""

from __future__ import annotations

from typing import ClassVar

from gristmill.engines.pooled import Pooled
from gristmill.engines.rating import Rate, Rating
from gristmill.engines.requests import Op, Request
from gristmill.engines.tokens import chat_text
from gristmill.errors import RecipeError


class Reward(Pooled):
    """Rates conversations, one prefill each; those that begin alike share it."""

    ops: ClassVar[frozenset[Op]] = frozenset({"rate"})
    heads: ClassVar[str] = "one label"

    model: str = "Skywork/Skywork-Reward-V2-Qwen3-0.6B"
    """A folder, or a name on the Hub, of a `...ForSequenceClassification` with one label."""

    def fits(self, n_labels: int, problem: str) -> bool:
        """Say whether it gives one number."""
        return n_labels == 1

    async def foresee(self, request: Request) -> None:
        """Refuse a model without a chat template."""
        await self.needs_template(self._without_template)

    async def rate(self, request: Rate) -> Rating:
        """Read one conversation."""
        tokens = (await self.running()).tokens
        if not tokens.template:
            raise self._without_template
        text = chat_text(tokens.tokenizer, request.messages, header=False)
        ids: list[int] = tokens.tokenizer(text, add_special_tokens=False)["input_ids"]
        (value,) = await self.logits(ids)
        return Rating(value, len(ids))

    @property
    def _without_template(self) -> RecipeError:
        return RecipeError(
            f"engine reward: '{self.model}' has no chat template, and rates whole conversations; "
            "name a reward model that has one"
        )
