"""How much of a reference stands in an answer: exact match and F1 of words.

Sources: Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text",
arXiv:1606.05250, section 6.1; Li et al., arXiv:2308.10819, section 4, which takes it twice: for the
answer to the question and for the answer to the injected one.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from gristmill.pipelines.stage import RowStage
from gristmill.text.known import bare, f1


class Match(TypedDict):
    """What it writes; None without a reference."""

    exact: float | None
    """1 where the words are the same, else 0."""
    f1: float | None
    """0..1: harmonic mean of precision and recall of the words, as bags."""


class AnswerMatch(RowStage):
    """Compare `output` with a reference, case, articles and all punctuation but signs aside."""

    version: ClassVar[int] = 2
    reference: str = "reference"
    """Column with the reference."""

    def reads(self) -> frozenset[str]:
        """The reference's column is a parameter."""
        return frozenset({"output", self.reference})

    def __call__(self, row: dict[str, Any]) -> Match:
        """Compare two bags of words."""
        found, wanted = (bare(row[name] or "") for name in ("output", self.reference))
        if not wanted:
            return {"exact": None, "f1": None}
        return {"exact": float(found == wanted), "f1": f1(found, wanted)}
