"""A reward model: a sequence classifier with one label, in this process, with transformers.

Source: Ouyang et al., arXiv:2203.02155, section 3.5: a language model whose last state gives
one number. Conversations go through the model's own chat template; the number is the raw logit,
because a sigmoid makes good answers all alike.
A conversation is read whole or not at all: the number stands at its last token. Each is a pass of
its own, so that no padding moves that token and no batch changes a digit; on a GPU that leaves much
of it idle.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from threading import Lock
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from gristmill.engines.lanes import Precision, find_device, lanes, package_version, quiet_loading
from gristmill.engines.loaded import Loaded, window_of
from gristmill.engines.models import fingerprint, pinned
from gristmill.engines.rating import Rate, Rating
from gristmill.engines.requests import Op
from gristmill.errors import PromptRefused, PromptTooLong, RecipeError
from gristmill.storage.ids import digest


class Reward(Loaded):
    """Rates conversations, one per pass."""

    ops: ClassVar[frozenset[Op]] = frozenset({"rate"})

    model: str = "Skywork/Skywork-Reward-V2-Qwen3-0.6B"
    """A folder, or a name on the Hub, of a `...ForSequenceClassification` with one label."""
    max_model_len: int = Field(default=4096, ge=8)
    """Tokens that the model reads; less where its own window is shorter. Longer conversations are
    not rated."""
    dtype: Precision = "float32"

    _live: Any = PrivateAttr(default=None)
    _lock: Any = PrivateAttr(default_factory=Lock)

    @cached_property
    def identity(self) -> str:
        """Name the weights and everything else that decides a value."""
        versions = [package_version("torch"), package_version("transformers")]
        how = [self.max_model_len, self.dtype, versions]
        return f"reward:{digest(fingerprint(self.model, self.revision), how)}"

    def _load(self) -> None:
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        quiet_loading()
        which = pinned(self.model, self.revision)
        config = AutoConfig.from_pretrained(**which)
        made = (config.architectures or ["nothing"])[0]
        if not made.endswith("ForSequenceClassification") or config.num_labels != 1:
            raise RecipeError(
                f"engine reward: '{self.model}' is a {made} with {config.num_labels} labels; "
                "name a ...ForSequenceClassification with one label"
            )
        tokenizer = AutoTokenizer.from_pretrained(**which)
        if not tokenizer.chat_template:
            raise RecipeError(f"engine reward: '{self.model}' has no chat template")
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            **which, dtype=getattr(torch, self.dtype)
        )
        window = window_of(model, self.max_model_len)
        self._live = (tokenizer, model.to(find_device()).eval(), window)

    async def stop(self) -> None:
        """Forget the model."""
        self._live = None

    async def rate(self, request: Rate) -> Rating:
        """Read one conversation."""
        loop = asyncio.get_running_loop()
        found: Rating = await loop.run_in_executor(lanes(), self._rate, request)
        return found

    def _rate(self, request: Rate) -> Rating:
        import torch

        tokenizer, model, window = self._live
        with self._lock:  # a tokenizer serves one thread at a time
            ids = self._ids(tokenizer, request)
        if len(ids) > window:
            raise PromptTooLong(
                f"a conversation has {len(ids)} tokens and the reward model reads {window}; it is "
                "not cut, because its end is what is rated"
            )
        with torch.inference_mode():
            row = torch.tensor([ids], device=model.device)
            value = float(model(input_ids=row, use_cache=False).logits[0, 0])
        return Rating(value, len(ids))

    def _ids(self, tokenizer: Any, request: Rate) -> list[int]:
        from jinja2 import TemplateError

        try:
            text = tokenizer.apply_chat_template(list(request.messages), tokenize=False)
        except (TemplateError, TypeError, ValueError) as error:
            raise PromptRefused(f"the chat template refuses the conversation: {error}") from error
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
