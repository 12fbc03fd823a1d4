"""The request for a reward model's opinion of a conversation, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gristmill.engines.requests import Answer, Message, Op
from gristmill.storage.ids import digest


@dataclass(frozen=True, slots=True)
class Rating(Answer):
    """One number, as the model gives it: without bounds, of no meaning beside another model's."""

    value: float
    n_tokens: int

    @property
    def tokens(self) -> int:
        """Tokens read."""
        return self.n_tokens


@dataclass(frozen=True, slots=True)
class Rate:
    """Read a conversation that ends with an answer, and say how good it is."""

    op: ClassVar[Op] = "rate"
    answer: ClassVar[type[Answer]] = Rating

    messages: list[Message]

    def key(self, identity: str) -> str:
        """Return the name of the answer."""
        return digest(identity, "rate", self.messages)
