"""The request for a classifier's opinion of a text, and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gristmill.engines.requests import Answer, Op
from gristmill.errors import RecipeError
from gristmill.storage.ids import digest


@dataclass(frozen=True, slots=True)
class Classes(Answer):
    """The probability (0..1) of every label; they sum to 1 unless several may hold of one text."""

    values: dict[str, float]
    n_tokens: int

    @property
    def tokens(self) -> int:
        """Tokens read."""
        return self.n_tokens

    def likeliest(self, labels: Sequence[str]) -> tuple[float, str]:
        """Return the highest probability among some labels, and whose it is.

        Raises:
            RecipeError: It has no such label.
        """
        if unknown := sorted({*labels} - self.values.keys()):
            raise RecipeError(f"the classifier has no label '{unknown[0]}', but {[*self.values]}")
        return max((self.values[label], label) for label in labels)


@dataclass(frozen=True, slots=True)
class Classify:
    """Read a text, and say which of its labels a classifier gives it."""

    op: ClassVar[Op] = "classify"
    answer: ClassVar[type[Answer]] = Classes

    text: str

    def key(self, identity: str) -> str:
        """Return the name of the answer."""
        return digest(identity, "classify", self.text)
