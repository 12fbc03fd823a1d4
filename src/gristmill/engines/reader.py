"""A causal language model that reads: ids, one padded forward pass, and what is taken from it.

Only the positions that a request is about meet the vocabulary, which is what memory and half of
the time go to otherwise; in the quick way through a model some at a time, so that not all logits
of a pass exist where they are many.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import local
from typing import Any

import numpy as np

from gristmill.engines.buckets import Prepared, Work
from gristmill.engines.entropies import Entropies
from gristmill.engines.plain_llama import PlainLlama
from gristmill.engines.requests import Answer, Choice, LogProbs, Probs, Score
from gristmill.engines.spans import Spans
from gristmill.errors import EngineError, PromptTooLong

NOT_FINITE = "log-probs are not finite; set dtype to float32"
NEAR, MANY = 2**18, 2**26
"""Logits looked at together, on a CPU few enough to stay near its cache: for a vocabulary of 4,096
that took 3.5 ms where all 600 positions at once took 4.6, and `logsumexp` 6.0."""
MET, FEWEST = 2**22, 64
"""Logits made together at most (16 MiB), and positions at least: fewer read the vocabulary's matrix
too often. 64 of 4,096 cost a tenth more of a busy machine's processor; so did 512, for whose memory
the system was asked again each time.
"""


@dataclass(frozen=True, slots=True)
class Span:
    """The ids of one sequence; the response is the end of it, from `start`."""

    ids: list[int]
    start: int
    n_response: int


@dataclass(frozen=True, slots=True)
class Ballot:
    """The ids of a prompt, and those that each label may begin with."""

    ids: list[int]
    labels: dict[str, list[int]]


class Reader:
    """A loaded model. `prepare` and `forward` may run in several threads at once."""

    def __init__(
        self, model: Any, head: Any, spans: Spans, window: int, quick: PlainLlama | None = None
    ) -> None:
        """Read with `model`, or with `quick` where the weights stay as they are."""
        self.model, self.spans, self.window, self.quick = model, spans, window, quick
        self.wanted = local()
        """Per thread: the positions that its pass is about."""
        head.register_forward_pre_hook(self._select)

    def prepare(self, requests: Sequence[Score]) -> list[Prepared]:
        """Turn requests into ids, with the response cut to what the window leaves."""
        contexts = self.spans.contexts([request.context for request in requests])
        responses = self.spans.responses([request.response for request in requests])
        return [
            fitted(context, response, self.window)
            for context, response in zip(contexts, responses, strict=True)
        ]

    def forward(self, spans: list[Span]) -> list[Answer | EngineError]:
        """One pass without gradients."""
        import torch

        with torch.inference_mode():
            found = split(self.log_probs(spans), spans)
        return [
            LogProbs(values.tolist(), span.start, span.n_response)
            if np.isfinite(values).all()
            else EngineError(NOT_FINITE)
            for span, values in zip(spans, found, strict=True)
        ]

    def measure(self, spans: list[Span]) -> list[Answer | EngineError]:
        """Return log-probs and entropies; probabilities exist for a few positions at a time."""
        import torch

        with torch.inference_mode():
            found, sums = [], []
            for part, ids in self.read(spans):
                logs = part.float().log_softmax(1)
                found.append(logs.gather(1, ids[:, None])[:, 0])
                sums.append(torch.special.entr(logs.exp_()).sum(1))
            values, entropies = split(torch.cat(found), spans), split(torch.cat(sums), spans)
        return [
            Entropies(first.tolist(), second.tolist(), part.shape[1], span.start, span.n_response)
            if np.isfinite(first).all() and np.isfinite(second).all()
            else EngineError(NOT_FINITE)
            for span, first, second in zip(spans, values, entropies, strict=True)
        ]

    def ballots(self, requests: Sequence[Choice]) -> list[Prepared]:
        """Turn judgements into ids; a judge must see the whole prompt."""
        contexts = self.spans.contexts([request.prompt for request in requests])
        return [
            Work(Ballot(ids, self.spans.first_ids(request.labels)), len(ids))
            if len(ids) <= self.window
            else PromptTooLong(
                f"a prompt of {len(ids)} tokens does not fit max_model_len={self.window}; use a "
                "model with a longer window"
            )
            for ids, request in zip(contexts, requests, strict=True)
        ]

    def vote(self, ballots: list[Ballot]) -> list[Answer | EngineError]:
        """Return how the probability of the next token falls on the labels."""
        import torch

        ids = self._padded([ballot.ids for ballot in ballots])
        rows = torch.arange(len(ballots), device=ids.device)
        last = torch.tensor([len(ballot.ids) - 1 for ballot in ballots], device=ids.device)
        with torch.inference_mode():
            probs = self._logits(ids, rows, last).double().softmax(1).cpu().numpy()
        return [_count(ballot, found) for ballot, found in zip(ballots, probs, strict=True)]

    def log_probs(self, spans: list[Span]) -> Any:
        """Return those of all responses in order, (tokens,) float32; may carry gradients."""
        import torch

        loss = torch.nn.functional.cross_entropy
        pairs = self.read(spans)
        return -torch.cat([loss(part.float(), ids, reduction="none") for part, ids in pairs])

    def read(self, spans: list[Span]) -> Iterator[tuple[Any, Any]]:
        """Go through logits for all response tokens, (n, vocabulary), and those tokens, (n,).

        Only these are ever in float32 where the model is not.
        """
        import torch

        ids = self._padded([span.ids for span in spans])
        lengths = [len(span.ids) - span.start for span in spans]
        rows = torch.repeat_interleave(torch.arange(len(spans)), torch.tensor(lengths))
        places = torch.cat([torch.arange(span.start, len(span.ids)) for span in spans])
        rows, places = rows.to(ids.device), places.to(ids.device)
        targets = ids[rows, places]
        if not self.quick:
            yield from parts(self._logits(ids, rows, places - 1), targets)
            return
        states = self.quick(ids, rows, places - 1)
        n = max(FEWEST, MET // len(self.quick.head))
        for some, theirs in zip(states.split(n), targets.split(n), strict=True):
            yield from parts(self.quick.logits(some), theirs)

    def _padded(self, sequences: Sequence[list[int]]) -> Any:
        """Pad on the right: causal attention never looks there."""
        import torch

        ids = np.zeros((len(sequences), max(map(len, sequences))), np.int64)
        for row, sequence in zip(ids, sequences, strict=True):
            row[: len(sequence)] = sequence
        return torch.from_numpy(ids).to(self.model.device)

    def _logits(self, ids: Any, rows: Any, places: Any) -> Any:
        """Return the logits at some positions only; what a model does to logits still applies."""
        if self.quick:
            return self.quick.logits(self.quick(ids, rows, places))
        self.wanted.here = rows, places
        return self.model(input_ids=ids, use_cache=False).logits[0]

    def _select(self, head: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Let only the wanted positions reach the head, (batch, length, d) -> (1, n, d)."""
        rows, places = self.wanted.here
        return (inputs[0][rows, places][None],)


def fitted(context: list[int], response: list[int], window: int) -> Work | LogProbs | PromptTooLong:
    """Cut a response to what its context leaves of a window."""
    room = window - len(context)
    if room < 1:
        return PromptTooLong(
            f"a context of {len(context)} tokens leaves no room for a response in "
            f"max_model_len={window}; use a model with a longer window"
        )
    kept = response[:room]
    if not kept:
        return LogProbs([], len(context), len(response))
    return Work(Span([*context, *kept], len(context), len(response)), len(context) + len(kept))


def parts(logits: Any, others: Any) -> Iterator[tuple[Any, Any]]:
    """Go through two tensors of as many positions, (n, v) and (n,), some positions at a time."""
    n = max(1, (NEAR if logits.device.type == "cpu" else MANY) // logits.shape[1])
    return zip(logits.split(n), others.split(n), strict=True)


def split(found: Any, spans: Sequence[Span]) -> list[Any]:
    """Cut what was found for all response tokens into one array per span."""
    lengths = [len(span.ids) - span.start for span in spans]
    return np.split(found.cpu().numpy(), np.cumsum(lengths)[:-1])


def _count(ballot: Ballot, probs: Any) -> Answer | EngineError:
    sums = {label: math.fsum(probs[ids].tolist()) for label, ids in ballot.labels.items()}
    mass = math.fsum(sums.values())
    if not math.isfinite(mass):
        return EngineError(NOT_FINITE)
    if mass <= 0:
        return EngineError(f"no probability on any of {list(sums)}")
    shares = {label: share / mass for label, share in sums.items()}
    return Probs(shares, min(1.0, mass), len(ballot.ids))
