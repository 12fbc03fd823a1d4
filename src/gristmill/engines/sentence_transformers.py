"""Embed texts with a sentence-transformers model, in batches of like length.

Source: Reimers and Gurevych, "Sentence-BERT", arXiv:1908.10084; the default model is
all-MiniLM-L6-v2 from a package that carries its weights.
Differs from the library's `encode`: texts of many callers share a batch, and a text that was cut
at the model's window says so.
"""

from __future__ import annotations

import logging
from functools import cached_property
from threading import Lock
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, PrivateAttr

from gristmill.engines.buckets import WAVE, Buckets, Prepared, Work
from gristmill.engines.lanes import (
    Precision,
    find_device,
    multiplies_bfloat16,
    package_version,
    quiet_loading,
)
from gristmill.engines.loaded import Loaded
from gristmill.engines.models import fingerprint, pinned
from gristmill.engines.requests import Embed, Op, Vector
from gristmill.errors import EngineError
from gristmill.storage.ids import digest

log = logging.getLogger(__name__)


class SentenceTransformers(Loaded):
    """A sentence encoder."""

    ops: ClassVar[frozenset[Op]] = frozenset({"embed"})
    window: ClassVar[int] = 2 * WAVE
    """Requests in hand: one wave is embedded while the next gathers."""

    model: str = "minilm"
    """`minilm`, a folder, or a name on the Hub."""
    max_tokens: int | None = Field(default=None, ge=8)
    """Where a text is cut; None is the model's own limit (256 for minilm)."""
    dtype: Literal["auto"] | Precision = "auto"
    """auto: bfloat16 on a GPU or a CPU with instructions for it, else float32."""
    batch_tokens: int = Field(default=0, ge=0)
    """Tokens of one forward pass, padding included. 0: 1,024 on a CPU, 65,536 on a GPU."""

    _live: Any = PrivateAttr(default=None)
    _buckets: Any = PrivateAttr(default=None)

    @property
    def precision(self) -> Precision:
        """The precision that `dtype` means here."""
        if self.dtype != "auto":
            return self.dtype
        fast = find_device() == "cuda" or multiplies_bfloat16()
        return "bfloat16" if fast else "float32"

    @cached_property
    def identity(self) -> str:
        """Name the weights and everything else that decides a vector."""
        library = package_version("sentence-transformers")
        how = [self.precision, self.max_tokens, library]
        return f"sentence_transformers:{digest(fingerprint(self.model, self.revision), how)}"

    def _load(self) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        quiet_loading()
        device = find_device()
        which = pinned(self.model, self.revision)
        model = SentenceTransformer(
            which.pop("pretrained_model_name_or_path"),
            **which,
            device=device,
            model_kwargs={"dtype": getattr(torch, self.precision)},
        )
        if self.max_tokens is not None:
            model.max_seq_length = self.max_tokens
        self._live = Encoder(model)
        budget = self.batch_tokens or (1024 if device == "cpu" else 65536)
        self._buckets = Buckets(self._live.prepare, self._live.forward, budget)

    async def stop(self) -> None:
        """Say how much was cut, and forget the model."""
        if self._live is not None:
            n, n_cut = self._live.n, self._live.n_cut
            log.info("embedded=%d cut=%d cut_rate=%.4f", n, n_cut, n_cut / max(n, 1))
        self._live = self._buckets = None

    async def embed(self, request: Embed) -> Vector:
        """Return the unit-length vector of a text."""
        vector: Vector = await self._buckets(request)
        return vector


class Encoder:
    """A loaded model. `prepare` and `forward` may run in several threads at once."""

    def __init__(self, model: Any) -> None:
        self.model, self.tokenizer, self.window = model, model.tokenizer, model.max_seq_length
        self.prefix = model.prompts.get(model.default_prompt_name or "", "")
        self.n = self.n_cut = 0
        self._lock = Lock()
        """A fast tokenizer cannot be used from two threads at once."""

    def prepare(self, requests: list[Embed]) -> list[Prepared]:
        """Tokenise and cut."""
        texts = [self.prefix + request.text for request in requests]
        with self._lock:
            encoded = self.tokenizer(texts, truncation=True, max_length=self.window, verbose=False)
            ids, written = encoded["input_ids"], encoded.encodings
            cut = [bool(encoding.overflowing) for encoding in written]
            self.n, self.n_cut = self.n + len(cut), self.n_cut + sum(cut)
        return [Work(found, len(found[0])) for found in zip(ids, cut, strict=True)]

    def forward(self, works: list[tuple[list[int], bool]]) -> list[Vector | EngineError]:
        """One pass: pool and scale as the model says, then to unit length in float32."""
        import torch

        longest = max(len(ids) for ids, _ in works)
        ids = torch.full((len(works), longest), self.tokenizer.pad_token_id or 0)
        mask = torch.zeros_like(ids)
        for row, (found, _) in enumerate(works):
            ids[row, : len(found)] = torch.tensor(found)
            mask[row, : len(found)] = 1
        device = self.model.device
        with torch.inference_mode():
            out = self.model({"input_ids": ids.to(device), "attention_mask": mask.to(device)})
            vectors = out["sentence_embedding"].float().cpu().numpy()  # (n, d)
        return [
            self._answer(vector, len(ids), is_cut=is_cut)
            for vector, (ids, is_cut) in zip(vectors, works, strict=True)
        ]

    @staticmethod
    def _answer(vector: Any, n_tokens: int, *, is_cut: bool) -> Vector | EngineError:
        length = np.linalg.norm(vector)
        if not (np.isfinite(length) and length > 0):
            return EngineError("a vector is zero or not finite; set dtype to float32")
        return Vector(vector / length, n_tokens, is_cut)
