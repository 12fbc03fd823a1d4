"""The request for attention from answers to what the user said, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gristmill.engines.requests import Answer, Message, Op
from gristmill.storage.ids import digest


@dataclass(frozen=True, slots=True)
class Attended(Answer):
    """How much each answer of a conversation looks at the user's turns before it."""

    values: list[float | None]
    """0..1 for each turn of the assistant, in order; None for one that was cut off or is empty."""
    n_tokens: int
    cut: bool
    """Whether the end of the conversation did not fit."""

    @property
    def tokens(self) -> int:
        """Tokens read."""
        return self.n_tokens


@dataclass(frozen=True, slots=True)
class Attend:
    """Read a conversation and say where its answers look."""

    op: ClassVar[Op] = "attend"
    answer: ClassVar[type[Answer]] = Attended

    messages: list[Message]

    def key(self, identity: str) -> str:
        """Return the name of the answer."""
        return digest(identity, "attend", self.messages)
