"""What engines share that load a model with torch into the process that they run in."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Any, ClassVar

from gristmill.engines.base import Engine
from gristmill.engines.lanes import Precision, find_device, lanes, quiet_loading
from gristmill.engines.models import locate, pinned
from gristmill.engines.provenance import origin


class Loaded(Engine):
    """A model by name that works in the threads of `lanes.py`.

    On one machine without a GPU those threads are best shared: two such engines in processes of
    their own took a third more processor time.
    """

    hosted: ClassVar[bool] = True

    model: str = "demo"
    """`demo`, a folder, or a name on the Hub."""
    revision: str | None = None

    def check(self) -> None:
        """Find the model without loading it."""
        locate(self.model, self.revision)

    def origin(self) -> dict[str, Any]:
        """Say where the model comes from."""
        return origin(self.model, self.revision)

    async def start(self) -> None:
        """Load the model."""
        await asyncio.get_running_loop().run_in_executor(lanes(), self._load)

    @abstractmethod
    def _load(self) -> None:
        """Load it, in a lane."""

    def _causal(self, dtype: Precision, **more: Any) -> tuple[Any, Any]:
        """Return the tokenizer and the causal language model, ready on its device."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        quiet_loading()
        which = pinned(self.model, self.revision)
        tokenizer = AutoTokenizer.from_pretrained(**which)
        model: Any = AutoModelForCausalLM.from_pretrained(
            **which, dtype=getattr(torch, dtype), **more
        )
        return tokenizer, model.to(find_device()).eval()


def window_of(model: Any, most: int) -> int:
    """Return the tokens that a model reads: its own window, or less where less is asked for."""
    own = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(most, own or most)
