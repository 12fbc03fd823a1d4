"""Drop rows whose instruction is an answer (F8): its writer answered instead of asking.

Source: our own openings, tuned as `text/detectors.py` says.
Differs from the usual rule: what has neither a question mark nor an imperative stays; which verb
is one takes a parser, and instructions are statements often enough.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.detectors import answers
from gristmill.text.rouge import f_measure
from gristmill.text.turns import question
from gristmill.text.words import words


class Nothing(TypedDict):
    """It writes no columns."""


class Answered(RowStage):
    """Look at how the instruction begins, and on request whether it says what an answer said.

    Of texts that differ in more, all that begins and ends alike counts, and 10,000 words between.
    """

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"answered"})

    answer: str | None = Field(default=None, pattern=r"^\w+(\.\w+)*$")
    """Column of the answer to the row that the instruction was made from."""
    max_rouge: float = Field(default=0.7, gt=0, le=1)
    """ROUGE-L (0..1) with that answer from which on it is one. Our choice."""

    def reads(self) -> frozenset[str]:
        """One column is a parameter."""
        return frozenset({"instruction"} | ({self.answer} if self.answer else set()))

    def judges(self) -> frozenset[str]:
        """A row without an instruction stays."""
        return frozenset()

    def __call__(self, row: dict[str, Any]) -> Nothing | Drop:
        """Look at its first words, then at all of them."""
        asked = question(row["instruction"], None)
        if evidence := answers(asked):
            return Drop("answered", evidence)
        said = (self.answer and row[self.answer]) or ""
        rate = f_measure(words(asked), words(said)) if said else 0.0
        if rate >= self.max_rouge:
            return Drop("answered", f"ROUGE-L {rate:.2f} with {self.answer}")
        return {}
