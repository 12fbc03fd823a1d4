"""Score responses: the log-probability of every response token after a context.

Source: the rules that make loss-based scores correct. Context and response are tokenised apart
and joined as ids, so no merge crosses the boundary (Li et al., arXiv:2308.12032, guess it from a
length and drift by a token); a span never begins a sequence, so no token goes unscored (Li et
al., arXiv:2402.00530, lose one without a context); the end-of-sequence token is not scored.

An empty context is the response header alone: what the chat template puts between the last
message and the answer. Only positions of the response meet the vocabulary, which is what memory
and half of the time go to otherwise.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cached_property
from threading import local
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, PrivateAttr

from gristmill.engines.base import Engine
from gristmill.engines.buckets import WAVE, Buckets, Prepared, Work
from gristmill.engines.lanes import Precision, find_device, lanes, package_version, quiet_loading
from gristmill.engines.models import fingerprint, locate
from gristmill.engines.requests import Answer, LogProbs, Op, Score
from gristmill.engines.spans import Spans
from gristmill.errors import EngineError, PromptTooLong, RecipeError
from gristmill.storage.ids import digest

MAX_LOGITS = 2**28
"""Logits held at once (1 GiB in float32): a large vocabulary makes the batches smaller."""


@dataclass(frozen=True, slots=True)
class Span:
    """The ids of one sequence; the response is the end of it, from `start`."""

    ids: list[int]
    start: int
    n_response: int


class Logprobs(Engine):
    """A causal language model that reads and never writes: transformers forward passes."""

    ops: ClassVar[frozenset[Op]] = frozenset({"score"})
    window: ClassVar[int] = 2 * WAVE
    """Requests in hand: one wave is scored while the next gathers."""
    hosted: ClassVar[bool] = True
    trainable: ClassVar[bool] = True

    model: str = "demo"
    """`demo`, a folder, or a name on the Hub."""
    revision: str | None = None
    max_model_len: int = Field(default=2048, ge=8)
    """Tokens of context and response that the model reads; less where its own window is shorter.
    A response that does not fit is cut, and says so; a context that leaves no room is refused."""
    dtype: Literal["auto"] | Precision = "auto"
    """auto: float32 on a CPU, where it is exact, bfloat16 on a GPU."""
    template: Literal["auto", "chat", "alpaca", "plain"] = "auto"
    """How messages become text: the model's own chat template; headings for instruction and
    response, as Alpaca's; or nothing but line breaks. auto: chat where there is a template."""
    batch_tokens: int = Field(default=0, ge=0)
    """Tokens of one forward pass, padding included. 0: 1,024 on a CPU, 32,768 on a GPU. No part
    of the identity: it changes answers in the last digits at most."""

    _live: Any = PrivateAttr(default=None)
    _buckets: Any = PrivateAttr(default=None)

    @property
    def precision(self) -> Precision:
        """The precision that `dtype` means here."""
        if self.dtype != "auto":
            return self.dtype
        return "float32" if find_device() == "cpu" else "bfloat16"

    @cached_property
    def identity(self) -> str:
        """Name the weights and everything else that decides a log-prob."""
        versions = [package_version("torch"), package_version("transformers")]
        how = [self.precision, self.max_model_len, self.template, versions]
        return f"logprobs:{digest(fingerprint(self.model, self.revision), how)}"

    def check(self) -> None:
        """Find the model without loading it."""
        locate(self.model, self.revision)

    async def start(self) -> None:
        """Load the model."""
        await asyncio.get_running_loop().run_in_executor(lanes(), self._load)

    def _load(self) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        quiet_loading()
        where = str(locate(self.model, self.revision))
        tokenizer = AutoTokenizer.from_pretrained(where, revision=self.revision)
        model: Any = AutoModelForCausalLM.from_pretrained(
            where, revision=self.revision, dtype=getattr(torch, self.precision)
        )
        model.to(find_device()).eval()
        head = model.get_output_embeddings()
        if head is None:
            raise RecipeError(f"model '{self.model}' is no causal language model: it has no head")
        own = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        window = min(self.max_model_len, own or self.max_model_len)
        budget = self.batch_tokens or (1024 if find_device() == "cpu" else 32768)
        budget = min(budget, MAX_LOGITS // model.config.get_text_config().vocab_size)
        self._live = Reader(model, head, Spans(tokenizer, self.template, self.model), window)
        self._buckets = Buckets(self._live.prepare, self._live.forward, budget)

    async def stop(self) -> None:
        """Forget the model."""
        self._live = self._buckets = None

    async def score(self, request: Score) -> LogProbs:
        """Score one response; an empty one has no values."""
        answer: LogProbs = await self._buckets(request)
        return answer


class Reader:
    """A loaded model. `prepare` and `forward` may run in several threads at once."""

    def __init__(self, model: Any, head: Any, spans: Spans, window: int) -> None:
        self.model, self.spans, self.window = model, spans, window
        self.wanted = local()
        """Per thread: the positions that its pass is about."""
        head.register_forward_pre_hook(self._select)

    def prepare(self, requests: list[Score]) -> list[Prepared]:
        """Turn requests into ids, with the response cut to what the window leaves."""
        contexts = self.spans.contexts([request.context for request in requests])
        responses = self.spans.responses([request.response for request in requests])
        return [
            self._span(context, response)
            for context, response in zip(contexts, responses, strict=True)
        ]

    def _span(self, context: list[int], response: list[int]) -> Prepared:
        room = self.window - len(context)
        if room < 1:
            return PromptTooLong(
                f"a context of {len(context)} tokens leaves no room for a response in "
                f"max_model_len={self.window}; use a model with a longer window"
            )
        kept = response[:room]
        if not kept:
            return LogProbs([], len(context), len(response))
        return Work(Span([*context, *kept], len(context), len(response)), len(context) + len(kept))

    def forward(self, spans: list[Span]) -> list[Answer | EngineError]:
        """One pass without gradients."""
        import torch

        with torch.inference_mode():
            found = self.log_probs(spans)
        lengths = [len(span.ids) - span.start for span in spans]
        values = np.split(found.cpu().numpy(), np.cumsum(lengths)[:-1])
        return [self._answer(span, value) for span, value in zip(spans, values, strict=True)]

    def log_probs(self, spans: list[Span]) -> Any:
        """Return those of all responses in order, (tokens,) float32, gradients where they are on.

        Sequences are padded on the right; causal attention never looks at the padding.
        """
        import torch

        longest = max(len(span.ids) for span in spans)
        ids = torch.zeros((len(spans), longest), dtype=torch.long)
        for row, span in enumerate(spans):
            ids[row, : len(span.ids)] = torch.tensor(span.ids)
        lengths = [len(span.ids) - span.start for span in spans]
        rows = torch.repeat_interleave(torch.arange(len(spans)), torch.tensor(lengths))
        places = torch.cat([torch.arange(span.start, len(span.ids)) for span in spans])
        device = self.model.device
        ids, rows, places = ids.to(device), rows.to(device), places.to(device)
        logits = self._logits(ids, rows, places - 1)  # (tokens of all responses, vocabulary)
        return logits.gather(1, ids[rows, places][:, None])[:, 0] - logits.logsumexp(1)

    def _logits(self, ids: Any, rows: Any, places: Any) -> Any:
        """Return the logits at some positions only; what a model does to logits still applies."""
        self.wanted.here = rows, places
        return self.model(input_ids=ids, use_cache=False).logits[0].float()

    def _select(self, head: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Let only the wanted positions reach the head, (batch, length, d) -> (1, n, d)."""
        rows, places = self.wanted.here
        return (inputs[0][rows, places][None],)

    @staticmethod
    def _answer(span: Span, values: Any) -> Answer | EngineError:
        if not np.isfinite(values).all():
            return EngineError("log-probs are not finite; set dtype to float32")
        return LogProbs(values.tolist(), span.start, span.n_response)
