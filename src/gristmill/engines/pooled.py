"""A sequence classifier in vLLM's pooling, whatever its labels are read for.

A text is read whole or not at all. Its neighbours in a batch change the last digits, as they do in
every engine of vLLM.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from gristmill.engines.models import commit, fingerprint, locate
from gristmill.engines.vllm_model import VllmModel, positions
from gristmill.errors import PromptRefused, PromptTooLong, RecipeError
from gristmill.storage.ids import digest


class Pooled(VllmModel):
    """One prefill for each text; those that begin alike share it."""

    heads: ClassVar[str]
    """What its head has to be, for a message."""

    max_model_len: int | None = Field(default=4096, ge=8)
    """Tokens that the model reads; less where its own window is shorter, None for all of it. What
    is longer is not read."""

    @property
    def identity(self) -> str:
        """Name the weights and everything else that decides a value."""
        how = [self.precision(), self.quantization, self.kv_cache_dtype, self.max_model_len]
        return f"{self.kind.lower()}:vllm:{digest(fingerprint(self.model, self.revision), how)}"

    @abstractmethod
    def fits(self, n_labels: int, problem: str) -> bool:
        """Say whether a head of so many labels, trained for the config's problem, will do."""

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
        return {**made, "max_num_batched_tokens": longest}  # a text is read in one piece

    async def logits(self, ids: list[int]) -> list[float]:
        """Return what the head says of a text, a number per label."""
        process = await self.running()
        if not ids:
            raise PromptRefused("the text has no token")
        if len(ids) > process.max_model_len:
            raise PromptTooLong(
                f"a text has {len(ids)} tokens and the {self.kind.lower()} model reads "
                f"{process.max_model_len}; it is not cut, because all of it is judged"
            )
        return await process.pool(ids)

    def _window(self, folder: Path) -> dict[str, int]:
        """Return the tokens that it reads; refuse a model with another head."""
        config = json.loads((folder / "config.json").read_text("utf-8"))
        made, n = (config.get("architectures") or ["nothing"])[0], len(labels_in(folder))
        problem = config.get("problem_type") or ""
        if not made.endswith("ForSequenceClassification") or not self.fits(n, problem):
            raise RecipeError(
                f"engine {self.kind.lower()}: '{self.model}' is a {made} with {n} labels"
                f"{' and ' * bool(problem)}{problem}; "
                f"name a ...ForSequenceClassification with {self.heads}"
            )
        lengths = [n for n in (self.max_model_len, positions(folder)) if n]
        return {"max_model_len": min(lengths)} if lengths else {}


def labels_in(folder: Path) -> list[str]:
    """Return the names of a head's labels, in the order of its numbers."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    named = config.get("id2label") or {}
    # transformers writes neither for two
    n = config.get("num_labels") or len(named) or 2
    return [named.get(str(i), f"LABEL_{i}") for i in range(n)]
