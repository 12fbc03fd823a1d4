"""A reward model: a sequence classifier with one label, in vLLM's pooling.

Source: Ouyang et al., arXiv:2203.02155, section 3.5: a language model whose last state gives
one number. Conversations go through the model's own chat template; the number is the raw logit,
because a sigmoid makes good answers all alike.
A conversation is read whole or not at all: the number stands at its last token. Its neighbours in a
batch change the last digits, as they do in every engine of vLLM.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from gristmill.engines.models import commit, fingerprint, locate
from gristmill.engines.rating import Rate, Rating
from gristmill.engines.requests import Op
from gristmill.engines.tokens import chat_text
from gristmill.engines.vllm_model import VllmModel, positions
from gristmill.engines.vllm_process import Process
from gristmill.errors import PromptTooLong, RecipeError
from gristmill.storage.ids import digest


class Reward(VllmModel):
    """Rates conversations, one prefill each; those that begin alike share it."""

    ops: ClassVar[frozenset[Op]] = frozenset({"rate"})

    model: str = "Skywork/Skywork-Reward-V2-Qwen3-0.6B"
    """A folder, or a name on the Hub, of a `...ForSequenceClassification` with one label."""
    max_model_len: int | None = Field(default=4096, ge=8)
    """Tokens that the model reads; less where its own window is shorter, None for all of it. Longer
    conversations are not rated."""

    @property
    def identity(self) -> str:
        """Name the weights and everything else that decides a value."""
        how = [self.precision(), self.quantization, self.kv_cache_dtype, self.max_model_len]
        return f"reward:vllm:{digest(fingerprint(self.model, self.revision), how)}"

    def check(self) -> None:
        """Raise when vLLM is not there, or what is here of the model has no head for it."""
        super().check()
        if isinstance(folder := locate(self.model, self.revision), Path):
            self._window(folder)

    def arguments(self) -> dict[str, Any]:
        """Return those of a model that is pooled; of one on the Hub the config is fetched first."""
        folder = locate(self.model, self.revision)
        if not isinstance(folder, Path):
            from huggingface_hub import hf_hub_download

            held = commit(self.model, self.revision)
            folder = Path(hf_hub_download(self.model, "config.json", revision=held)).parent
        pooled = {"runner": "pooling", "convert": "classify", **self._window(folder)}
        made = {**super().arguments(), **pooled}
        longest = max(made["max_num_batched_tokens"], made.get("max_model_len", 0))
        return {**made, "max_num_batched_tokens": longest}  # a conversation is read in one piece

    async def rate(self, request: Rate) -> Rating:
        """Read one conversation."""
        process = await self.running()
        ids = self._ids(process, request)
        if len(ids) > process.max_model_len:
            raise PromptTooLong(
                f"a conversation has {len(ids)} tokens and the reward model reads "
                f"{process.max_model_len}; it is not cut, because its end is what is rated"
            )
        (value,) = await process.pool(ids)
        return Rating(value, len(ids))

    def _ids(self, process: Process, request: Rate) -> list[int]:
        tokenizer = process.tokens.tokenizer
        if not process.tokens.template:
            raise RecipeError(f"engine reward: '{self.model}' has no chat template")
        text = chat_text(tokenizer, request.messages, header=False)
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _window(self, folder: Path) -> dict[str, int]:
        """Return the tokens that it reads; refuse a model that gives more or less than a number."""
        config = json.loads((folder / "config.json").read_text("utf-8"))
        made = (config.get("architectures") or ["nothing"])[0]
        # transformers writes neither for two
        labels = config.get("num_labels") or len(config.get("id2label") or "01")
        if not made.endswith("ForSequenceClassification") or labels != 1:
            raise RecipeError(
                f"engine reward: '{self.model}' is a {made} with {labels} labels; "
                "name a ...ForSequenceClassification with one label"
            )
        lengths = [n for n in (self.max_model_len, positions(folder)) if n]
        return {"max_model_len": min(lengths)} if lengths else {}
