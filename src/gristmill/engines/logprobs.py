"""Score responses: the log-probability of every response token after a context.

And, by the same pass, how uncertain each prediction was, and a judgement by one token.

Source: the rules that make loss-based scores correct. Context and response are tokenised apart
and joined as ids, so no merge crosses the boundary (Li et al., arXiv:2308.12032, guess it from a
length and drift by a token); a span never begins a sequence, so no token goes unscored (Li et
al., arXiv:2402.00530, lose one without a context); the end-of-sequence token is not scored.

An empty context is the response header alone: what the chat template puts between the last
message and the answer.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field, PrivateAttr

from gristmill.engines.buckets import WAVE, Buckets
from gristmill.engines.entropies import Entropies, Entropy
from gristmill.engines.lanes import Precision, find_device, package_version
from gristmill.engines.loaded import Loaded, window_of
from gristmill.engines.models import fingerprint
from gristmill.engines.plain_llama import plain_llama
from gristmill.engines.reader import Reader
from gristmill.engines.requests import Choice, LogProbs, Op, Probs, Score
from gristmill.engines.spans import Spans
from gristmill.errors import RecipeError
from gristmill.storage.ids import digest

MAX_LOGITS = 2**28
"""Logits held at once (1 GiB in float32): a large vocabulary makes the batches smaller."""


class Logprobs(Loaded):
    """A causal language model that reads and never writes: transformers forward passes."""

    ops: ClassVar[frozenset[Op]] = frozenset({"score", "entropy", "choice"})
    window: ClassVar[int] = 2 * WAVE
    """Requests in hand: one wave is scored while the next gathers."""
    trainable: ClassVar[bool] = True

    max_model_len: int = Field(default=2048, ge=8)
    """Tokens of context and response that the model reads; less where its own window is shorter.
    A response that does not fit is cut, and says so; a context that leaves no room is refused."""
    dtype: Literal["auto"] | Precision = "auto"
    """auto: float32 on a CPU, where it is exact, bfloat16 on a GPU."""
    template: Literal["auto", "chat", "alpaca", "plain"] = "auto"
    """How messages become text: the model's own chat template; headings for instruction and
    response, as Alpaca's; or nothing but line breaks. auto: chat where there is a template."""
    scores_end: bool = False
    """Whether the end token after a response counts as one of its tokens. Public code of the IFD
    family does not count it. A response without text has no tokens either way."""
    batch_tokens: int = Field(default=0, ge=0)
    """Tokens of one forward pass, padding included. 0: 1,024 on a CPU, 32,768 on a GPU. No part
    of the identity: it changes answers in the last digits at most."""

    _live: Any = PrivateAttr(default=None)
    _buckets: Any = PrivateAttr(default=None)
    """Per kind of request: its batches."""

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
        how: list[Any] = [self.precision, self.max_model_len, self.template, versions]
        how += ["end"] if self.scores_end else []
        return f"logprobs:{digest(fingerprint(self.model, self.revision), how)}"

    def _load(self) -> None:
        tokenizer, model = self._causal(self.precision)
        head = model.get_output_embeddings()
        if head is None:
            raise RecipeError(f"model '{self.model}' is no causal language model: it has no head")
        window = window_of(model, self.max_model_len)
        budget = self.batch_tokens or (1024 if find_device() == "cpu" else 32768)
        budget = min(budget, MAX_LOGITS // model.config.get_text_config().vocab_size)
        spans = Spans(tokenizer, self.template, self.model, with_end=self.scores_end)
        quick = plain_llama(model, window)
        live = Reader(model, head, spans, window, quick)
        self._live, self._buckets = (
            live,
            {
                "score": Buckets(live.prepare, live.forward, budget),
                "entropy": Buckets(live.prepare, live.measure, budget),
                "choice": Buckets(live.ballots, live.vote, budget),
            },
        )

    async def stop(self) -> None:
        """Forget the model."""
        self._live = self._buckets = None

    async def score(self, request: Score) -> LogProbs:
        """Score one response; an empty one has no values."""
        answer: LogProbs = await self._buckets["score"](request)
        return answer

    async def entropy(self, request: Entropy) -> Entropies:
        """Score one response, with the entropy of every prediction over the whole vocabulary."""
        answer: LogProbs | Entropies = await self._buckets["entropy"](request)
        if isinstance(answer, LogProbs):  # an empty response: no pass was needed
            n_vocabulary = self._live.model.config.get_text_config().vocab_size
            return Entropies([], [], n_vocabulary, answer.n_context, answer.n_response)
        return answer

    async def choice(self, request: Choice) -> Probs:
        """Judge by one token: exact probabilities of the labels' first tokens."""
        answer: Probs = await self._buckets["choice"](request)
        return answer
