"""Fine-tune a small model on responses, in this process, with transformers.

Source: the usual supervised fine-tuning, with the defaults of Alpaca (Taori et al., 2023, the
repository's README): AdamW, a linear warm-up, then a cosine; LoRA is Hu et al., arXiv:2106.09685.
Differs from it: the loss of a batch is the weighted mean over its response tokens; there is no
dropout, so that on a CPU a training gives the same weights and losses whenever it runs.

What it makes is a folder in the workspace, `.gristmill/models/<key of the request>`. A folder
that is gone is made again when its answer is asked for.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Lock
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr

from gristmill.engines.base import Engine
from gristmill.engines.fitting import Fit
from gristmill.engines.lanes import find_device, lanes, package_version
from gristmill.engines.models import TRAINED, fingerprint, locate
from gristmill.engines.provenance import origin
from gristmill.engines.requests import Op
from gristmill.engines.training import Train, Trained
from gristmill.errors import EngineError, RequirementError
from gristmill.storage.ids import digest

_loading = Lock()
"""Loading is for one lane at a time: transformers imports its parts when they are first asked for,
and what LoRA begins with comes from torch's one generator."""


class Trainer(Engine):
    """Trains one model per request: on a CPU each in one thread, on a GPU one after the other."""

    ops: ClassVar[frozenset[Op]] = frozenset({"train"})
    hosted: ClassVar[bool] = True

    model: str = "demo"
    """What a training begins with, unless it says: `demo`, a folder, or a name on the Hub."""
    revision: str | None = None
    epochs: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=2e-5, gt=0)
    """At the end of the warm-up. Low-rank additions want about ten times the default."""
    batch_size: int = Field(default=128, ge=1)
    """Rows of one update."""
    max_model_len: int = Field(default=2048, ge=8)
    """Tokens of context and response that the model reads; less where its own window is shorter.
    A response that does not fit is cut and counted; a context that leaves no room is skipped."""
    warmup_rate: float = Field(default=0.03, ge=0, le=1)
    """Share (0..1) of the updates over which the learning rate grows."""
    weight_decay: float = Field(default=0.0, ge=0)
    checkpoints: int = Field(default=1, ge=1)
    """Places, evenly spaced up to the end, at which every row is scored; at most one per update."""
    lora_rank: int = Field(default=0, ge=0)
    """Rank of low-rank additions to every linear layer, merged at the end (their alpha is twice
    the rank); needs the extra `lora` (peft). 0 trains all weights."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the products. auto: float32 on a CPU, bfloat16 on a GPU. All weights that are
    trained are float32; the model is saved in the precision that it came in."""
    template: Literal["auto", "chat", "alpaca", "plain"] = "auto"
    """How messages become text, as in the log-prob engine."""
    batch_tokens: int = Field(default=0, ge=0)
    """Tokens of one pass, padding included; an update adds up as many as it needs. 0: 1,024 on a
    CPU, 8,192 on a GPU. Lower it where memory runs out. No part of the identity."""

    _folder: Path = PrivateAttr(default=Path(TRAINED))
    _stopping: Event | None = PrivateAttr(default=None)

    @property
    def precision(self) -> Literal["float32", "bfloat16"]:
        """The precision that `dtype` means here."""
        if self.dtype != "auto":
            return self.dtype
        return "float32" if find_device() == "cpu" else "bfloat16"

    @cached_property
    def identity(self) -> str:
        """Name the weights, the parameters and the libraries."""
        how = self.model_dump(exclude={"model", "revision", "dtype", "batch_tokens"})
        packages = ["torch", "transformers", *(["peft"] if self.lora_rank else [])]
        made = [how, self.precision, [package_version(name) for name in packages]]
        return f"trainer:{digest(fingerprint(self.model, self.revision), made)}"

    def check(self) -> None:
        """Find the model, and peft where it is needed, without loading either."""
        locate(self.model, self.revision)
        if self.lora_rank and find_spec("peft") is None:
            raise RequirementError(
                f"the trainer's lora_rank={self.lora_rank} needs peft, which is not installed; run "
                "pip install 'gristmill[lora]', or set lora_rank to 0 to train all weights"
            )

    def origin(self) -> dict[str, Any]:
        """Say where the model comes from that is trained."""
        return origin(self.model, self.revision)

    def in_workspace(self, folder: Path) -> Self:
        """Keep the models there."""
        made = self.model_copy()
        made._folder = folder.resolve() / TRAINED
        return made

    def recall(self, answer: Trained) -> Trained | None:
        """Find the model of a stored answer; None when it is gone."""
        folder = self._folder / answer.model
        is_there = (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))
        return replace(answer, model=str(folder)) if is_there else None

    async def start(self) -> None:
        """Load nothing yet: every training loads its own model."""
        self.check()
        self._stopping = Event()

    async def stop(self) -> None:
        """Let trainings end at their next update."""
        if self._stopping is not None:
            self._stopping.set()

    async def train(self, request: Train) -> Trained:
        """Train a model and save it."""
        loop = asyncio.get_running_loop()
        trained: Trained = await loop.run_in_executor(lanes(), self._train, request)
        return trained

    def _train(self, request: Train) -> Trained:
        if self._stopping is None:
            raise EngineError("the trainer is not started")
        try:
            with _loading:
                fit: Any = Fit(self, request, self._stopping)
            return fit.run(self._folder / request.key(self.identity))  # type: ignore[no-any-return]
        except RuntimeError as error:  # torch: out of memory, no kernel
            raise EngineError(f"training failed: {error}; lower batch_tokens?") from error
        finally:
            fit = None
            if find_device() == "cuda":
                import torch

                torch.cuda.empty_cache()
