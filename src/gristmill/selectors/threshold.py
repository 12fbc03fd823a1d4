"""Keep every row whose score reaches a bound, best first.

Source: Chen et al., "AlpaGasus", arXiv:2307.08701, section 3: answers rated 4.5 of 5 and more stay.
Differs from the paper: the bound may also be a quantile of the table's own scores.
`filters.score_range` compares row by row where a bound is known and no order is wanted.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.picks import best_first, by_id, numbers, picked
from gristmill.pipelines.stage import TableStage


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the best; None was not picked."""


class Threshold(TableStage):
    """Rank the rows at or above the bound; ties go to the lowest id. O(n log n)."""

    codes: ClassVar[frozenset[str]] = frozenset({"score_too_low", "unscored"})

    of: str = Field(pattern=r"^\w+(\.\w+)*$")
    """The column: `scores.ifd.ppl`, or any other number of the row."""
    min: float = 4.5
    """The least score that stays; AlpaGasus' for ratings of 0..5."""
    quantile: float | None = Field(default=None, ge=0, le=1)
    """Instead of `min`: the bound below which this share of the scored rows lies."""

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({self.of})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 2) -> (n, 5); equal scores stay or leave together."""
        scores = numbers(table[self.of])
        order = best_first(scores, by_id(table))
        bound = self.min
        if self.quantile is not None and len(order):
            # An observed score, so that strictly increasing changes of the scores change no pick.
            bound = float(np.quantile(scores[order], self.quantile, method="higher"))
        codes = np.where(np.isnan(scores), "unscored", "score_too_low")
        low = [f"{score:.6g} < {bound:.6g}" for score in scores.tolist()]
        told = {"score_too_low": low, "unscored": f"{self.of} is null"}
        return picked(table, order[scores[order] >= bound], codes, told)
