"""Keep the rows with the highest scores: a number of them, or a share.

Source: the last step of Cherry (Li et al., arXiv:2308.12032: a share of the rows that have a
score), Superfiltering (Li et al., arXiv:2402.00530: a share of all rows) and IC-IFD
(arXiv:2412.11231: a quarter).
Differs from their code: equal scores are ordered by id, and a row without a score is no 0.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.picks import best_first, by_id, numbers, picked
from gristmill.pipelines.stage import TableStage


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the best; None was not picked."""


class TopK(TableStage):
    """Rank by one score, keep the first; ties go to the lowest id. O(n log n)."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "score_too_high", "unscored"})

    of: str = Field(pattern=r"^\w+(\.\w+)*$")
    """The column: `scores.ifd.ppl`, or any other number of the row."""
    k: int | None = Field(default=None, ge=1)
    """Rows to keep; None: `rate` decides. Fewer come back when fewer have a score."""
    rate: float = Field(default=0.1, gt=0, le=1)
    """Share to keep, rounded down, but at least one row; 0.1 is Superfiltering's."""
    rate_of: Literal["scored", "table"] = "scored"
    """What the share is of: the rows that may be picked (Cherry), or all (Superfiltering). A filter
    before it makes the table smaller, `below` does not."""
    below: float | None = None
    """A bound that a score must stay under to be picked: 1 for `scores.ifd.ppl`."""
    best: Literal["highest", "lowest"] = "highest"
    """Which end to keep."""

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({self.of})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 2) -> (n, 5); rows without a score leave with their own code."""
        scores = numbers(table[self.of])
        high = scores >= self.below if self.below is not None else np.zeros(len(scores), bool)
        sign = 1 if self.best == "highest" else -1
        order = best_first(np.where(high, np.nan, sign * scores), by_id(table))
        base = len(order) if self.rate_of == "scored" else len(table)
        # 0.29 * 100 is 28.999...: a share that is a whole number of rows loses none of them.
        k = self.k or max(1, int(self.rate * base + 1e-9))
        codes = np.where(
            np.isnan(scores), "unscored", np.where(high, "score_too_high", "not_selected")
        )
        told = {
            "not_selected": f"k={k}",
            "score_too_high": f">= {self.below}",
            "unscored": f"{self.of} is null",
        }
        return picked(table, order[:k], codes, told)
