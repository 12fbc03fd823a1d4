"""The request for log-probs with the entropy of every prediction, and its answer.

An engine that shows only its likeliest tokens answers with the middle of what is possible.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from gristmill.engines.requests import Answer, Op, Score


@dataclass(frozen=True, slots=True)
class Entropies(Answer):
    """Log-probs of the response tokens, and how uncertain the model was of each; may be empty."""

    values: list[float]
    """Natural-log probabilities, in order."""
    entropies: list[float]
    """Nats, 0..log(n_vocabulary): of the whole distribution that each token was drawn from."""
    n_vocabulary: int
    """Logits of the model, padded ones included."""
    n_context: int
    """Tokens before the response, header included."""
    n_response: int
    """Tokens of the whole response: more than `values` when it was cut."""
    slack: list[float] = field(default_factory=list)
    """Nats that each entropy may be off, either way; empty where they are exact."""

    @property
    def tokens(self) -> int:
        """Everything that went through the model."""
        return self.n_context + len(self.values)

    def pack(self) -> bytes:
        """Sixteen bytes of header, log-probs in float64, the rest in float32, little-endian."""
        counts = [self.n_context, self.n_response, self.n_vocabulary, len(self.values)]
        head = np.array(counts, "<u4").tobytes()
        values = np.array(self.values, "<f8").tobytes()
        return head + values + np.array([*self.entropies, *self.slack], "<f4").tobytes()

    @classmethod
    def unpack(cls, packed: bytes) -> Entropies:
        """Return what was stored."""
        n_context, n_response, n_vocabulary, n = np.frombuffer(packed, "<u4", 4).tolist()
        values = np.frombuffer(packed, "<f8", n, offset=16).tolist()
        rest = np.frombuffer(packed, "<f4", offset=16 + 8 * n).tolist()
        return cls(values, rest[:n], n_vocabulary, n_context, n_response, rest[n:])


@dataclass(frozen=True, slots=True)
class Entropy(Score):
    """What `Score` asks, and the entropy of every prediction."""

    op: ClassVar[Op] = "entropy"
    answer: ClassVar[type[Answer]] = Entropies


def bounds(log_probs: Collection[float], n_vocabulary: int) -> tuple[float, float]:
    """Return between what nats an entropy lies of which only some log-probs are known.

    All that is left may be on one token, or spread evenly over those that are not listed.
    """
    probs = [math.exp(value) for value in log_probs]
    known = -math.fsum(p * value for p, value in zip(probs, log_probs, strict=True))
    left, n_left = 1 - math.fsum(probs), n_vocabulary - len(probs)
    if left <= 0 or n_left <= 0:
        return known, known
    least = known - left * math.log(left)
    return least, least + left * math.log(n_left)
