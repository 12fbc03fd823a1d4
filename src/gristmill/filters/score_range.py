"""Keep rows whose score lies in a range, such as an instruction-following difficulty below 1."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.pipelines.stage import Drop, RowStage


class Nothing(TypedDict):
    """It writes no columns."""


class ScoreRange(RowStage):
    """Compare one score with its bounds; a row without a score leaves with its own code."""

    codes: ClassVar[frozenset[str]] = frozenset({"score_too_low", "score_too_high", "unscored"})

    of: str = Field(pattern=r"^\w+(\.\w+)*$")
    """The column: `scores.ifd.ppl`, or any other number of the row."""
    min: float | None = None
    """The least score that stays."""
    max: float | None = None
    """The greatest score that stays."""
    above: float | None = None
    """A bound that a score must exceed."""
    below: float | None = None
    """A bound that a score must stay under: 1 for `scores.ifd.ppl` (arXiv:2402.00530)."""
    unscored: Literal["reject", "keep"] = "reject"
    """What becomes of a row whose score is missing."""

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({self.of})

    def __call__(self, row: dict[str, Any]) -> Nothing | Drop:
        """Compare; what is missing is neither low nor high."""
        score = row[self.of]
        if score is None:
            return {} if self.unscored == "keep" else Drop("unscored", self.of)
        if self.min is not None and score < self.min:
            return Drop("score_too_low", f"{score:.6g} < {self.min:g}")
        if self.above is not None and score <= self.above:
            return Drop("score_too_low", f"{score:.6g} <= {self.above:g}")
        if self.max is not None and score > self.max:
            return Drop("score_too_high", f"{score:.6g} > {self.max:g}")
        if self.below is not None and score >= self.below:
            return Drop("score_too_high", f"{score:.6g} >= {self.below:g}")
        return {}
