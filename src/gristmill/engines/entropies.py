"""The request for log-probs with the entropy of every prediction, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gristmill.engines.requests import Answer, Op, Prompt
from gristmill.storage.ids import digest


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

    @property
    def tokens(self) -> int:
        """Everything that went through the model."""
        return self.n_context + len(self.values)

    def pack(self) -> bytes:
        """Sixteen bytes of header, log-probs in float64, entropies in float32, little-endian."""
        counts = [self.n_context, self.n_response, self.n_vocabulary, len(self.values)]
        head = np.array(counts, "<u4").tobytes()
        values = np.array(self.values, "<f8").tobytes()
        return head + values + np.array(self.entropies, "<f4").tobytes()

    @classmethod
    def unpack(cls, packed: bytes) -> Entropies:
        """Return what was stored."""
        n_context, n_response, n_vocabulary, n = np.frombuffer(packed, "<u4", 4).tolist()
        values = np.frombuffer(packed, "<f8", n, offset=16).tolist()
        entropies = np.frombuffer(packed, "<f4", n, offset=16 + 8 * n).tolist()
        return cls(values, entropies, n_vocabulary, n_context, n_response)


@dataclass(frozen=True, slots=True)
class Entropy:
    """What `Score` asks, and the entropy of every prediction, exactly."""

    op: ClassVar[Op] = "entropy"
    answer: ClassVar[type[Answer]] = Entropies

    context: Prompt
    response: str

    def key(self, identity: str) -> str:
        """Return the name of the answer."""
        return digest(identity, "entropy", self.context, self.response)
