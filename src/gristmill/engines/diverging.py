"""The request to compare what two models predict of a response, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gristmill.engines.requests import Answer, Op, Score


@dataclass(frozen=True, slots=True)
class Divergences(Answer):
    """How far two models are apart in predicting each response token; may be empty."""

    values: list[float]
    """Jensen-Shannon divergence in nats, 0..log(2), in order."""
    n_context: int
    """Tokens before the response, header included."""
    n_response: int
    """Tokens of the whole response: more than `values` when it was cut."""

    @property
    def tokens(self) -> int:
        """Everything that went through the models."""
        return 2 * (self.n_context + len(self.values))


@dataclass(frozen=True, slots=True)
class Diverge(Score):
    """Compare two models on a given response; an empty context is the header alone."""

    op: ClassVar[Op] = "diverge"
    answer: ClassVar[type[Answer]] = Divergences
