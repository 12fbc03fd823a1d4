"""How far a model has moved from another: the divergence of their predictions, token by token.

Source: He et al., "PASER", arXiv:2502.12594, section 3.3: the Jensen-Shannon divergence of a
pruned model and the original one.
Differs from the authors' code, which sums it over the tokens of a prompt: given responses are read
by both models, a value per token. Any model that comes from another will do (pruned, quantised,
distilled, merged), as long as both have one vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, PrivateAttr

from gristmill.engines.buckets import Buckets
from gristmill.engines.diverging import Diverge, Divergences
from gristmill.engines.lanes import Precision, find_device, package_version
from gristmill.engines.loaded import Loaded, window_of
from gristmill.engines.logprobs import MAX_LOGITS
from gristmill.engines.models import fingerprint, locate
from gristmill.engines.provenance import origin
from gristmill.engines.reader import NOT_FINITE, Reader, Span, split
from gristmill.engines.requests import Answer, LogProbs, Op
from gristmill.engines.spans import Spans
from gristmill.errors import EngineError, RecipeError
from gristmill.storage.ids import digest


class Divergence(Loaded):
    """Two causal language models that read the same ids: the one that moved, and the original."""

    ops: ClassVar[frozenset[Op]] = frozenset({"diverge"})

    original: str = "demo"
    """What `model` was before: `demo`, a folder, or a name on the Hub."""
    original_revision: str | None = None
    dtype: Precision = "float32"
    """Of `model`."""
    original_dtype: Precision = "float32"
    max_model_len: int = Field(default=2048, ge=8)
    """Tokens of context and response that both read; less where a window is shorter. A response
    that does not fit is cut, and says so; a context that leaves no room is refused."""
    batch_tokens: int = Field(default=0, ge=0)
    """Tokens of one pass, padding included. 0: 1,024 on a CPU, 8,192 on a GPU. No part of the
    identity."""

    _readers: Any = PrivateAttr(default=None)
    _buckets: Any = PrivateAttr(default=None)

    @cached_property
    def identity(self) -> str:
        """Name both models and everything else that decides a value."""
        models = [
            fingerprint(self.model, self.revision),
            fingerprint(self.original, self.original_revision),
        ]
        versions = [package_version("torch"), package_version("transformers")]
        how = [self.dtype, self.original_dtype, self.max_model_len, versions]
        return f"divergence:{digest(models, how)}"

    def check(self) -> None:
        """Find both models without loading them."""
        super().check()
        locate(self.original, self.original_revision)

    def origin(self) -> dict[str, Any]:
        """Say where the model comes from, and the original one."""
        return {**super().origin(), "original": origin(self.original, self.original_revision)}

    def _load(self) -> None:
        before = self.model_copy(
            update={"model": self.original, "revision": self.original_revision}
        )
        tokenizer, first = before._causal(self.original_dtype)
        other, second = self._causal(self.dtype)
        widths = [model.config.get_text_config().vocab_size for model in (first, second)]
        if other.get_vocab() != tokenizer.get_vocab() or widths[0] != widths[1]:
            raise RecipeError(
                f"'{self.model}' and '{self.original}' have different vocabularies "
                f"({widths[1]} and {widths[0]} logits): their predictions cannot be compared"
            )
        window = min(window_of(model, self.max_model_len) for model in (first, second))
        spans = Spans(tokenizer, "auto", self.original)
        self._readers = [
            Reader(model, model.get_output_embeddings(), spans, window) for model in (first, second)
        ]
        budget = self.batch_tokens or (1024 if find_device() == "cpu" else 8192)
        budget = min(budget, MAX_LOGITS // widths[0])
        self._buckets = Buckets(self._readers[0].prepare, self._compare, budget)

    async def stop(self) -> None:
        """Forget both models."""
        self._readers = self._buckets = None

    async def diverge(self, request: Diverge) -> Divergences:
        """Compare both models on one response; an empty one has no values."""
        answer: LogProbs | Divergences = await self._buckets(request)
        if isinstance(answer, LogProbs):  # an empty response: no pass was needed
            return Divergences([], answer.n_context, answer.n_response)
        return answer

    def _compare(self, spans: list[Span]) -> Sequence[Answer | EngineError]:
        import torch

        with torch.inference_mode():
            pairs = zip(*(reader.read(spans) for reader in self._readers), strict=True)
            found = torch.cat([jensen_shannon(a, b) for (a, _), (b, _) in pairs])
            by_span = split(found, spans)
        return [
            Divergences(values.tolist(), span.start, span.n_response)
            if np.isfinite(values).all()
            else EngineError(NOT_FINITE)
            for span, values in zip(spans, by_span, strict=True)
        ]


def jensen_shannon(first: Any, second: Any) -> Any:
    """Return the divergence of two predictions from their logits, (n, v), (n, v) -> (n,) nats."""
    import torch

    p, q = (logits.double().softmax(1) for logits in (first, second))
    entropy = torch.special.entr
    return (entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2).sum(1).clamp(min=0)
